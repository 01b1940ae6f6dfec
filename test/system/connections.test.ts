/** As many connections as the limit of open files allows, and more. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { putFile } from '../http/support.ts';
import { createUpload, head, send } from '../harness/tus.ts';
import { until } from './support.ts';
import { IS_LINUX } from '../harness/needs.ts';

const MAIN = fileURLToPath(new URL('../../server/main.js', import.meta.url));
/** (512 - 64 of its own - 16 spare) / 2. */
const MOST_REQUESTS = 216;

// A connection that is kept for the next request is idle, and may be ended just as that request is sent.
http.globalAgent = new http.Agent({ keepAlive: false });

describe.runIf(IS_LINUX)('with 512 descriptors', () => {
  let child: ChildProcess;
  let folder: string;
  let port: number;
  let url: string;
  let output = '';
  const sockets = new Set<Socket>();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
    port = await freePort();
    url = `http://127.0.0.1:${port}`;
    child = spawn('bash', ['-c', 'ulimit -n 512; exec "$0" "$1"', process.execPath, MAIN], {
      cwd: tmpdir(),
      env: { PATH: process.env['PATH'], DATA_DIR: folder, HTTP_PORT: String(port) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    await vi.waitFor(() => send('GET', `${url}/healthz`), 20_000);
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
  });
  afterAll(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await rm(folder, { recursive: true });
  });

  async function open(): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    await once(socket, 'connect');
    return socket;
  }

  /** A PATCH whose body stops half-way, under way until its rest comes. */
  async function openPatch(location: string, length: number): Promise<Socket> {
    const socket = await open();
    socket.resume();
    socket.write(
      `PATCH ${new URL(location).pathname} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n` +
        `Content-Type: application/offset+octet-stream\r\nContent-Length: ${length}\r\n\r\nhalf`,
    );
    return socket;
  }

  test('idle ones keep nobody out, and end nothing that is under way', async () => {
    const location = await createUpload(url, 8);
    const running = await openPatch(location, 8);
    // Each connects, and says nothing.
    for (let round = 0; round < 35; round++) await Promise.all(Array.from({ length: 20 }, open));
    for (let round = 0; round < 5; round++) {
      const { url: file } = await putFile(url, `through ${round}`, { filename: 'x.txt' });
      expect((await send('GET', file)).body).toBe(`through ${round}`);
    }
    expect(running.destroyed).toBe(false);
    running.write('done');
    await until('it is complete', async () => (await head(location)).headers['upload-offset'] === '8', 30_000);
    await until(
      'it is logged',
      async () => output.includes('as many connections as the limit of open files allows'),
      30_000,
    );
    const told = output.split('\n').filter((line) => line.includes('as many connections'));
    expect(told).toHaveLength(1);
    expect(JSON.parse(told[0] ?? '')).toMatchObject({ level: 40, mostRequests: MOST_REQUESTS });
  });

  test('one request too many is told so, and served once another has ended', async () => {
    const locations: string[] = [];
    for (let index = 0; index < MOST_REQUESTS; index++) locations.push(await createUpload(url, 8));
    const running = await Promise.all(locations.map((location) => openPatch(location, 8)));
    const ask = () => send('GET', `${url}/api/files?limit=1`);
    await until('all are under way', async () => (await ask()).status === 503, 30_000);
    const refused = await ask();
    expect([refused.status, refused.code, refused.headers['retry-after']]).toEqual([503, 'too_many_connections', '5']);
    running[0]?.write('done');
    await until('there is room', async () => (await ask()).status === 200, 30_000);
    expect(running.every((socket) => !socket.destroyed)).toBe(true);
  });
});
