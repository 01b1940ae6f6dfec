/** A real PgBouncer on loopback in front of a PostgreSQL, in transaction mode: Debian's package. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { findProgram, isHere } from './needs.ts';
import { freePort } from './ports.ts';
import { giveAway, hasPostgres, PASSWORD, SUPERUSER, unprivileged } from './postgres.ts';
import { urlOf } from './shared-postgres.ts';

/** Debian has it in a folder of programs that is not on everybody's PATH. */
const PROGRAM = findProgram('pgbouncer');
const STARTED_WITHIN_MS = 10_000;

/** Whether one can be started here. Where not, says once what is skipped for it. */
export function hasPgbouncer(): boolean {
  return isHere(
    PROGRAM !== undefined && hasPostgres(),
    'no PgBouncer here: apt-get install --no-install-recommends postgresql pgbouncer',
  );
}

export interface RunningPgbouncer {
  readonly port: number;
  /** The address of a database through it. */
  urlOf(database: string): string;
  stop(): Promise<void>;
}

/** Starts one before the server on this port. It ends with this process. */
export async function startPgbouncer(serverPort: number): Promise<RunningPgbouncer> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-pgbouncer-'));
  const port = await freePort();
  const files = {
    'users.txt': `"${SUPERUSER}" "${decodeURIComponent(PASSWORD)}"\n`,
    // The last connection is used first, and all of them by all: what a session left behind is met by the next.
    'pgbouncer.ini': `[databases]
* = host=127.0.0.1 port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users.txt
pool_mode = transaction
default_pool_size = 5
max_client_conn = 500
`,
  };
  await giveAway(folder);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    await giveAway(join(folder, name));
  }
  let said = '';
  const child = spawn(PROGRAM ?? '', [join(folder, 'pgbouncer.ini')], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...unprivileged(),
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const watcher = watch(child.pid ?? -1, folder);
  const bouncer: RunningPgbouncer = {
    port,
    urlOf: (database) => urlOf(port, database),
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      watcher.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  for (let waitedMs = 0; !(await answers(bouncer.urlOf('postgres'))); waitedMs += 50) {
    if (waitedMs < STARTED_WITHIN_MS && child.exitCode === null) await sleep(50);
    else {
      await bouncer.stop();
      throw new Error(`PgBouncer was not ready in ${STARTED_WITHIN_MS} ms:\n${said}`);
    }
  }
  return bouncer;
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

/** Ends it and removes its folder when this process is gone, however that ended. */
function watch(pid: number, folder: string) {
  const script = `while kill -0 "$1" && kill -0 "$2"; do sleep 1; done 2>/dev/null; kill -KILL "$2" 2>/dev/null; rm -rf "$3"`;
  const watcher = spawn('sh', ['-c', script, 'watch', String(process.pid), String(pid), folder], {
    detached: true,
    stdio: 'ignore',
  });
  watcher.unref();
  return watcher;
}
