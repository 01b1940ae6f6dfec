// Lets each program run once, for a moment, and keeps what V8 has compiled by then: the next starts need not compile it again
// (scripts/load.cjs). A build without it is whole, too: its programs only start more slowly.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleOf } from './programs.mjs';

const KEEPER = fileURLToPath(new URL('keep-code.cjs', import.meta.url));
const MOST_MS = 60_000;

/** @param out - the folder of the build. */
export async function makeCodeCache(out) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-build-'));
  try {
    await runAll(out, folder);
  } catch (error) {
    process.stdout.write(`the programs of this build compile at each start: ${error.message}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runAll(out, folder) {
  const port = await freePort();
  const env = { DATA_DIR: join(folder, 'data'), LISTEN: '127.0.0.1', HTTP_PORT: String(port), DIGESTS: 'md5' };
  const file = join(folder, 'file.bin');
  writeFileSync(file, 'bytes');
  const service = start(out, 'server/main', [], { ...env, LOG_LEVEL: 'info' }, folder);
  await Promise.race([service.says('tidemark listens on'), service.ended]);
  const url = `http://127.0.0.1:${port}`;
  await start(out, 'client/cli/main', ['upload', file, '--server', url], {}, folder).ended;
  for (const path of ['/', '/readyz', '/api/files']) await fetch(url + path).then((answer) => answer.arrayBuffer());
  service.child.kill('SIGTERM');
  await service.ended;
  // They end with an error, as nobody answers, and have loaded what they need by then.
  const bucket = {
    STORE: 's3',
    S3_BUCKET: 'none',
    S3_ENDPOINT: `${url}/`,
    S3_REGION: 'none',
    S3_ACCESS_KEY_ID: 'none',
  };
  const away = {
    ...env,
    ...bucket,
    S3_SECRET_ACCESS_KEY: 'none',
    DATABASE_URL: `postgres://none@127.0.0.1:${port}/none`,
  };
  await start(out, 'server/doctor/main', ['--json'], away, folder).ended;
  await start(out, 'server/admin/main', ['--help'], away, folder).ended;
}

/** Starts a program whose compiled code is kept when it ends. */
function start(out, program, args, env, folder) {
  const child = spawn(process.execPath, [KEEPER, out, bundleOf(program), ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: MOST_MS,
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
    child.emit('said');
  });
  return {
    child,
    ended: new Promise((resolve, reject) => child.once('close', resolve).once('error', reject)),
    says: (text) => new Promise((resolve) => child.on('said', () => said.includes(text) && resolve())),
  };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
