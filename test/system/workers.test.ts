/** Several processes on one port (`WORKERS`): what dies is started again, and all of them end together. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { IS_LINUX } from '../harness/needs.ts';
import { freePort } from '../harness/ports.ts';

const PLAIN = fileURLToPath(new URL('../harness/plain-workers.js', import.meta.url));

interface Parent {
  child: ChildProcess;
  url: string;
  output(): string;
  /** Lines of the log with this message. */
  logged(message: string): Record<string, unknown>[];
  /** Exit code and signal. */
  ended: Promise<[number | null, string | null]>;
}

async function start(behaviour = '', args: string[] = []): Promise<Parent> {
  const port = await freePort();
  const child = spawn(process.execPath, [PLAIN, ...args], {
    env: { PATH: process.env['PATH'], PLAIN_PORT: String(port), PLAIN_BEHAVIOUR: behaviour },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => (output += more));
  }
  onTestFinished(() => void child.kill('SIGKILL'));
  return {
    child,
    url: `http://127.0.0.1:${port}`,
    output: () => output,
    logged: (message) =>
      output
        .split('\n')
        .filter((line) => line.includes(`"msg":"${message}"`))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    ended: once(child, 'close') as Promise<[number | null, string | null]>,
  };
}

/** Which process answers a new connection; undefined where none does. */
async function askOnce(url: string): Promise<number | undefined> {
  try {
    const [answer] = (await once(get(url, { agent: new Agent() }), 'response')) as [IncomingMessage];
    return Number(await text(answer));
  } catch {
    return undefined;
  }
}

/** The processes that answer, once there are so many of them. */
async function answering(url: string, count: number, without?: number): Promise<number[]> {
  const found = new Set<number>();
  await expect
    .poll(async () => {
      const pid = await askOnce(url);
      if (pid !== undefined && pid !== without) found.add(pid);
      return found.size;
    })
    .toBe(count);
  return [...found];
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie has ended.
    return !IS_LINUX || !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('the parent of several workers', () => {
  test('serves one port by all of them, starts one that was killed again, and stops all', async () => {
    const parent = await start();
    const pids = await answering(parent.url, 3);
    const killed = pids[1] ?? 0;
    process.kill(killed, 'SIGKILL');
    const now = await answering(parent.url, 3, killed);
    expect(now.filter((pid) => pids.includes(pid))).toHaveLength(2);
    expect(parent.logged('a worker ended')).toMatchObject([{ pid: killed, signal: 'SIGKILL', earlyEnds: 1 }]);

    parent.child.kill('SIGTERM');
    expect(await parent.ended).toEqual([0, null]);
    expect(now.filter(runs)).toEqual([]);
  });

  test('gives its own arguments to the first start of the first worker alone', async () => {
    const parent = await start('', ['--adopt']);
    const pids = await answering(parent.url, 3);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await expect.poll(() => parent.logged('a worker ended').length).toBe(3);
    await expect.poll(() => askOnce(parent.url)).toBeDefined();
    parent.child.kill('SIGTERM');
    expect(await parent.ended).toEqual([0, null]);
    expect(parent.output().match(/adopted by .*/g)).toEqual(['adopted by --adopt --worker=1']);
  });

  test('ends with the exit code of a first worker that cannot start, and tries no other', async () => {
    const parent = await start('bad configuration');
    expect(await parent.ended).toEqual([78, null]);
    expect(parent.output()).toBe('');
  });

  test('starts one that ends at once after growing pauses, and at last gives up: all end, with 1', async () => {
    const parent = await start('second dies at once');
    const [first = 0] = await answering(parent.url, 2);
    expect(await parent.ended).toEqual([1, null]);
    expect(runs(first)).toBe(false);
    const ends = parent.logged('a worker ended');
    expect(ends.map(({ worker, code, earlyEnds }) => [worker, code, earlyEnds])).toEqual(
      [1, 2, 3, 4, 5].map((count) => [2, 3, count]),
    );
    expect(parent.logged('a worker ends at once again and again: the service ends')).toHaveLength(1);
  });

  test('kills those that do not stop in time, and ends with 1', async () => {
    const parent = await start('does not stop');
    const pids = await answering(parent.url, 3);
    parent.child.kill('SIGTERM');
    expect(await parent.ended).toEqual([1, null]);
    expect(pids.filter(runs)).toEqual([]);
  });

  test('asked twice, it waits no longer', async () => {
    const parent = await start();
    const pids = await answering(parent.url, 3);
    const slow = get(`${parent.url}/slow`);
    slow.on('error', () => undefined);
    const [answer] = (await once(slow, 'response')) as [IncomingMessage];
    answer.on('error', () => undefined);
    parent.child.kill('SIGTERM');
    await expect.poll(() => parent.logged('stopping the workers').length).toBe(1);
    parent.child.kill('SIGINT');
    expect(await parent.ended).toEqual([1, null]);
    expect(pids.filter(runs)).toEqual([]);
  });
});
