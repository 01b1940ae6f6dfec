/** The image of the Dockerfile's last stage in a real Docker engine: without root, on a file system that is read-only. */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUCKETS } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { runCli } from '../harness/cli.ts';
import { DOCKER_MISSING, readDockerfile, type RunningDocker, startDocker, whereIs } from '../harness/docker.ts';
import { isHere } from '../harness/needs.ts';
import { NGINX, NGINX_MISSING } from '../harness/nginx.ts';
import { freePort } from '../harness/ports.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { until } from '../system/support.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Of docker stop; SHUTDOWN_TIMEOUT is 10 s, and the tests of the stop itself are elsewhere. */
const GRACE_S = '20';

/** Its address needs no name, which a container would have to look up. */
const CEPH = BUCKETS.find(({ name }) => name === 'Ceph');
if (CEPH?.missing !== undefined) console.warn(`skipped: ${CEPH.missing}`);

const CEPH_UNAVAILABLE = CEPH?.missing !== undefined;

/** The command, as it is called here. */
const COMPOSE = [['docker', 'compose'], ['docker-compose']].find(
  ([program = '', ...words]) => spawnSync(program, [...words, 'version']).status === 0,
);
const COMPOSE_MISSING = 'no docker compose here: apt-get install --no-install-recommends docker-compose';

/** Of the official image: what its configuration includes, and the users that nginx looks for. */
const NGINX_FILES = {
  '/etc/passwd': 'root:x:0:0::/:/bin/sh\n',
  '/etc/group': 'root:x:0:\n',
  '/etc/nginx/nginx.conf': `daemon off; user root; pid /tmp/nginx.pid; events {} http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path /tmp/${name};`).join(' ')} include /etc/nginx/conf.d/*.conf; }\n`,
  // What the official image leads to its standard output.
  '/var/log/nginx/access.log': '',
};

interface Container {
  url: string;
  name: string;
  state(): { status: string; exitCode: number };
  logs(): string;
}

describe.skipIf(!isHere(DOCKER_MISSING === undefined, DOCKER_MISSING ?? ''))('a container of the image', () => {
  let docker: RunningDocker;

  beforeAll(async () => {
    docker = await startDocker();
    const { bases, lastStage } = await readDockerfile(join(ROOT, 'Dockerfile'));
    await docker.importPrograms([process.execPath, '/bin/sh', '/bin/mkdir', '/bin/chown'].map(linkless), bases);
    // What its first stage builds, of this build.
    const context = join(docker.folder, 'context');
    execFileSync(process.execPath, [join(ROOT, 'scripts/image.mjs'), join(context, 'image')]);
    await writeFile(join(context, 'Dockerfile'), `FROM scratch AS build\nCOPY image /image\n${lastStage}`);
    docker.run(['build', '--network', 'host', '-t', 'tidemark', context]);
  });
  afterAll(() => docker.stop());

  /** A program where the image looks for it. */
  function linkless(path: string): string {
    return path.startsWith('/bin/') ? path : whereIs(path.slice(path.lastIndexOf('/') + 1));
  }

  async function start(env: Record<string, string>, options: string[] = []): Promise<Container> {
    const port = await freePort();
    const name = `tidemark-${port}`;
    const settings = { LISTEN: '127.0.0.1', HTTP_PORT: String(port), ...env };
    const variables = Object.entries(settings).flatMap(([key, value]) => ['-e', `${key}=${value}`]);
    docker.run(['run', '-d', '--name', name, '--network', 'host', '--read-only', ...options, ...variables, 'tidemark']);
    const url = `http://127.0.0.1:${port}`;
    const container: Container = {
      url,
      name,
      state: () => {
        const [status = '', exitCode] = docker
          .run(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name])
          .split(' ');
        return { status, exitCode: Number(exitCode) };
      },
      logs: () => docker.logs(name),
    };
    await until(
      'it is ready',
      async () => {
        if (container.state().status !== 'running') throw new Error(container.logs());
        return fetch(`${url}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        );
      },
      30_000,
    );
    return container;
  }

  /** Sends a file with the command, and reads it back. */
  async function expectUpload({ url }: Pick<Container, 'url'>, options: string[] = []): Promise<void> {
    const folder = await makeTempFolder();
    const bytes = makeBytes(9 * 1024 * 1024, 4_320);
    await writeFile(join(folder, 'a.bin'), bytes);
    const { exitCode, stdout, stderr } = await runCli(['upload', 'a.bin', '--json', ...options], folder, {
      TIDEMARK_SERVER: url,
    }).done;
    expect(exitCode, stderr + stdout).toBe(0);
    const got = await fetch(`${url}/files/${md5(bytes)}.bin`);
    expect(md5(Buffer.from(await got.arrayBuffer()))).toBe(md5(bytes));
  }

  test('with a volume: keeps all of it there, as nobody special, is healthy, and stops with 0', async () => {
    const volume = join(docker.folder, 'volume');
    await mkdir(volume);
    await chown(volume, 1000, 1000);
    const container = await start({}, ['-v', `${volume}:/data`]);
    const pid = docker.run(['inspect', '-f', '{{.State.Pid}}', container.name]);
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/^Uid:\s+1000\s+1000/m);
    await expectUpload(container);
    expect((await stat(join(volume, 'catalog.db'))).uid).toBe(1000);
    const check = JSON.parse(
      docker.run(['inspect', '-f', '{{json .Config.Healthcheck.Test}}', 'tidemark']),
    ) as string[];
    docker.run(['exec', container.name, ...check.slice(1)]);
    docker.run(['stop', '-t', GRACE_S, container.name]);
    expect(container.state()).toEqual({ status: 'exited', exitCode: 0 });
    expect(container.logs()).toContain('"msg":"stopped"');
  });

  test.skipIf(!hasPostgres() || !CEPH || CEPH.missing !== undefined)(
    'without a volume, on PostgreSQL and a bucket, with several workers: the same',
    async () => {
      const bucket = await CEPH?.start();
      const database = await createDatabase();
      try {
        const container = await start({
          ...(bucket?.env() as Record<string, string>),
          DATABASE_URL: database.url,
          WORKERS: '2',
        });
        await expectUpload(container);
        // Process 1 is their parent: none of them is left as a zombie.
        const workers = docker.run(['top', container.name, '-o', 'pid,ppid,stat']).split('\n').slice(1);
        expect(workers).toHaveLength(3);
        const victim = workers[1]?.trim().split(/\s+/)[0] ?? '';
        process.kill(Number(victim), 'SIGKILL');
        await until('it was started again', () => container.logs().split('tidemark listens').length === 4);
        expect(docker.run(['top', container.name, '-o', 'pid,stat'])).not.toMatch(/\sZ/);
        docker.run(['stop', '-t', GRACE_S, container.name]);
        expect(container.state()).toEqual({ status: 'exited', exitCode: 0 });
      } finally {
        await bucket?.stop();
        await database.drop();
      }
    },
  );

  test('a stop during the start, and a configuration that is wrong, end it at once', async () => {
    const run = ['run', '-d', '--network', 'host', '--read-only'];
    const wrong = docker.run([...run, '-e', 'LISTEN=127.0.0.1', '-e', 'WORKERS=2', 'tidemark']);
    expect(docker.run(['wait', wrong])).toBe('78');

    // A database that accepts connections and says nothing.
    const silent = createServer(() => connected()).listen(0, '127.0.0.1');
    let connected = (): void => undefined;
    const isConnected = new Promise<void>((resolve) => (connected = resolve));
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const url = `postgres://tidemark@127.0.0.1:${port}/tidemark`;
    const starting = docker.run([...run, '-e', 'LISTEN=127.0.0.1', '-e', `DATABASE_URL=${url}`, 'tidemark']);
    await isConnected;
    docker.run(['stop', '-t', GRACE_S, starting]);
    // Not 137: the kernel would leave out the signal for a process 1 that does not handle it.
    expect(docker.run(['wait', starting])).toBe('143');
    silent.close();
  });

  describe.skipIf(
    !hasPostgres() ||
      CEPH_UNAVAILABLE ||
      !isHere(COMPOSE !== undefined, COMPOSE_MISSING) ||
      !isHere(NGINX !== undefined, NGINX_MISSING),
  )('docker-compose.yml with its profile cluster', () => {
    test('is three nodes behind nginx: one may be killed, and all stop with 0', async () => {
      const [bucket, database] = await Promise.all([CEPH?.start(), createDatabase()]);
      const folder = join(docker.folder, 'project');
      try {
        const cluster = await prepareCluster(folder, { ...bucket?.env(), DATABASE_URL: database.url });
        await docker.importPrograms([NGINX ?? ''], ['nginx:1.28'], NGINX_FILES, [
          NGINX ?? '',
          '-e',
          'stderr',
          '-c',
          '/etc/nginx/nginx.conf',
        ]);
        const compose = (...args: string[]): string => callCompose(docker, folder, args);
        compose('up', '-d', '--no-deps', '--no-build', 'uploads', 'files', 'api', 'nginx');
        try {
          await expectCluster(cluster, database);
          compose('stop');
        } catch (error) {
          throw new Error(compose('logs', '--no-color', '--tail', '20'), { cause: error });
        }
        const ended = docker.run([
          'ps',
          '-a',
          '--filter',
          'label=com.docker.compose.service',
          '--format',
          '{{.Names}} {{.Status}}',
        ]);
        expect(ended.match(/Exited \(\d+\)/g)).toEqual(Array.from({ length: 4 }, () => 'Exited (0)'));
      } finally {
        await bucket?.stop();
        await database.drop();
      }
    });
  });

  /** Through nginx: an upload whose node is killed in its middle, while events of another one are told. */
  async function expectCluster(url: string, database: TestDatabase): Promise<void> {
    await until(
      'all nodes answer',
      async () => {
        const answers = await Promise.all(
          ['/readyz', '/uploads/x', '/files/x'].map((path) =>
            fetch(url + path).then(
              ({ status }) => status,
              () => 0,
            ),
          ),
        );
        return answers.join() === '200,404,404';
      },
      60_000,
    );
    const stream = get(`${url}/api/events`);
    const [events] = (await once(stream, 'response')) as [IncomingMessage];
    let told = '';
    events.setEncoding('utf8').on('data', (piece: string) => (told += piece));
    const node = docker.run(['ps', '-q', '--filter', 'label=com.docker.compose.service=uploads']);
    const uploading = expectUpload({ url }, ['--chunk-size', '2MiB']);
    await until(
      'some of it is there',
      async () => (await database.run('select 1 from uploads where "offset" > 0')).length > 0,
    );
    process.kill(Number(docker.run(['inspect', '-f', '{{.State.Pid}}', node])), 'SIGKILL');
    await uploading;
    const [file] = (
      JSON.parse(await (await fetch(`${url}/api/files`)).text()) as { files: { id: string; url: string }[] }
    ).files;
    expect(file?.url.startsWith(`${url}/`)).toBe(true);
    await fetch(`${url}/api/files/${file?.id}`, { method: 'DELETE' });
    await expect.poll(() => told).toContain('event: deleted');
    events.destroy();
  }
});

/**
 * A copy of the project in which all containers use the machine's network: there they cannot have ports of the same
 * number, nor names of their own.
 *
 * @returns where nginx listens.
 */
async function prepareCluster(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const ports = { uploads: await freePort(), files: await freePort(), api: await freePort(), nginx: await freePort() };
  const [compose, config] = await Promise.all(
    ['docker-compose.yml', 'deploy/nginx/tidemark.conf'].map((path) => readFile(join(ROOT, path), 'utf8')),
  );
  // The second is looked for, though nothing of it is built.
  for (const name of ['deploy/nginx', 'scripts/ceph']) await mkdir(join(folder, name), { recursive: true });
  const nodes = (['uploads', 'files', 'api'] as const).map((name) => {
    const settings = { ...env, LISTEN: '127.0.0.1', HTTP_PORT: String(ports[name]), TRUST_PROXY: 'loopback' };
    return `  ${name}:\n    network_mode: host\n    environment: ${JSON.stringify(settings)}\n`;
  });
  await Promise.all([
    writeFile(join(folder, '.env'), 'AUTH=off\nDIGESTS=md5\n'),
    writeFile(join(folder, 'docker-compose.yml'), (compose ?? '').replaceAll(/^ {4}ports:\n(?: {6}.*\n)+/gm, '')),
    writeFile(join(folder, 'override.yml'), `services:\n${nodes.join('')}  nginx:\n    network_mode: host\n`),
    writeFile(
      join(folder, 'deploy/nginx/tidemark.conf'),
      (config ?? '')
        .replaceAll(
          /server (uploads|files|api):8080/g,
          (_, name: 'uploads' | 'files' | 'api') => `server 127.0.0.1:${ports[name]}`,
        )
        .replace('listen 80;', `listen 127.0.0.1:${ports.nginx};`),
    ),
  ]);
  return `http://127.0.0.1:${ports.nginx}`;
}

function callCompose(docker: RunningDocker, folder: string, args: string[]): string {
  const [program = '', ...words] = COMPOSE ?? [];
  const files = ['-f', 'docker-compose.yml', '-f', 'override.yml', '-p', 'tidemark', '--profile', 'cluster'];
  const { status, stdout, stderr } = spawnSync(program, [...words, ...files, ...args], {
    cwd: folder,
    env: docker.env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`compose ${args.join(' ')}: ${stderr || stdout}`);
  return stdout;
}
