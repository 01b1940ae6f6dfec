/** A log that goes into a pipe: read late, or never. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';

const MAIN = fileURLToPath(new URL('../../server/main.js', import.meta.url));

type Piped = ChildProcessByStdio<null, Readable, Readable>;

/** A service whose output is not read at first. */
async function startUnread(
  env: NodeJS.ProcessEnv = {},
): Promise<{ child: Piped; url: string; ended: Promise<unknown> }> {
  const dataDir = await makeTempFolder();
  const port = await freePort();
  const child = spawn(process.execPath, [MAIN], {
    cwd: tmpdir(),
    env: { PATH: process.env['PATH'], DATA_DIR: dataDir, HTTP_PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  await vi.waitFor(async () => expect((await send('GET', `${url}/healthz`)).status).toBe(200), 10_000);
  return { child, url, ended: once(child, 'exit') };
}

/** Each request is a line of 8 KB: a pipe holds eight of them, and what waits for it is 1 MiB. */
async function askOften(url: string, times: number): Promise<void> {
  for (let sent = 0; sent < times; sent += 20) {
    const path = `/${'x'.repeat(8_000)}`;
    const answers = await Promise.all(Array.from({ length: 20 }, () => send('GET', url + path)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
  }
}

interface Line {
  level: number;
  msg: string;
  dropped?: number;
  path?: string;
}

/** Begins to read. */
function readLog(child: Piped): { text(): string; lines(): Line[] } {
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const lines = (): Line[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  return { text: () => text, lines };
}

describe('a log that nobody reads', () => {
  test('holds neither requests nor the stop', async () => {
    const { child, url, ended } = await startUnread();
    await askOften(url, 60);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  test('what was dropped is counted, and told once it is read again; the last lines come out', async () => {
    const { child, url, ended } = await startUnread();
    await askOften(url, 300);
    const log = readLog(child);
    await vi.waitFor(() => expect(log.text()).toContain('"dropped":'), 10_000);
    await askOften(url, 20);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    await vi.waitFor(() => expect(log.text()).toContain('"stopped"'));
    const notices = log.lines().filter((line) => line.dropped !== undefined);
    expect(notices).toHaveLength(1);
    expect(notices[0]?.level).toBe(40);
    const requests = log.lines().filter(({ msg }) => msg === 'request').length;
    expect(requests + (notices[0]?.dropped ?? 0)).toBe(320);
    expect(log.lines().at(-1)?.msg).toBe('stopped');
  });
});

test('probes that are well are logged at debug alone', async () => {
  for (const [LOG_LEVEL, told] of [
    ['info', []],
    ['debug', ['/healthz', '/readyz']],
  ] as const) {
    const { child, url, ended } = await startUnread({ LOG_LEVEL });
    const log = readLog(child);
    for (const path of ['/healthz', '/readyz', '/nowhere']) await send('GET', url + path);
    child.kill('SIGTERM');
    await ended;
    await vi.waitFor(() => expect(log.text()).toContain('"stopped"'));
    const paths = new Set(log.lines().flatMap(({ path }) => path ?? []));
    expect(paths).toEqual(new Set([...told, '/nowhere']));
  }
});
