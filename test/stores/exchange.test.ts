/** One request and its answer, over connections that do what they should not. */
import { once } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { type Answer, exchange } from '../../stores/s3/exchange.ts';
import { makeBytes } from '../harness/bytes.ts';

const MIB = 1024 * 1024;

/** A listener that does this with each connection. @returns its port. */
async function listen(answer: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    answer(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function send(
  port: number,
  { bytes = makeBytes(100), silenceMs = 0, signal = new AbortController().signal } = {},
): Promise<Answer> {
  const agents = { httpAgent: new HttpAgent({ keepAlive: true }), httpsAgent: new HttpsAgent() };
  onTestFinished(() => agents.httpAgent.destroy());
  const headers = { host: 'bucket', 'content-length': String(bytes.length) };
  const to = { isSecure: false, hostname: '127.0.0.1', port: String(port), method: 'PUT', path: '/' };
  return exchange({ ...to, headers, bytes, silenceMs }, agents, signal);
}

test('an answer that switches to another protocol is a broken connection', async () => {
  const port = await listen((socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    );
  });
  await expect(send(port)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('an answer without a length ends with its connection', async () => {
  const port = await listen((socket) => {
    socket.once('data', () =>
      socket.end('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 403 Forbidden\r\n\r\n<Error><Code>A</Code></Error>'),
    );
  });
  await expect(send(port)).resolves.toMatchObject({ status: 403, text: '<Error><Code>A</Code></Error>' });
});

test('a connection on which nothing moves is broken, before the answer and within it', async () => {
  const silent = await listen((socket) => socket.resume());
  const begun = await listen((socket) => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'));
  });
  for (const port of [silent, begun]) {
    await expect(send(port, { silenceMs: 200 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  }
});

test('a slow one is not', async () => {
  const bytes = makeBytes(16 * MIB, 2);
  let taken = 0;
  const port = await listen((socket) => {
    socket.on('data', (chunk: Buffer) => {
      taken += chunk.length;
      if (taken >= bytes.length) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      socket.pause();
      setTimeout(() => socket.resume(), 6);
    });
  });
  const begunAt = performance.now();
  await expect(send(port, { bytes, silenceMs: 1000 })).resolves.toMatchObject({ status: 200 });
  expect(performance.now() - begunAt).toBeGreaterThan(1000);
});

test(
  'who takes no connections is given up after five seconds, or once the call is aborted',
  { timeout: 20_000 },
  async () => {
    const script = `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:worker_threads').parentPort.postMessage(server.address().port);
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    });`;
    const worker = new Worker(script, { eval: true });
    onTestFinished(() => void worker.terminate());
    const [port] = (await once(worker, 'message')) as [number];
    // The kernel takes a few in its stead.
    const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    onTestFinished(() => {
      for (const socket of fillers) socket.destroy();
    });
    await expect.poll(() => fillers.filter((socket) => !socket.connecting).length).toBeGreaterThan(1);
    const controller = new AbortController();
    const aborted = send(port, { signal: controller.signal });
    const givenUp = send(port);
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ message: 'aborted' });
    await expect(givenUp).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: expect.stringContaining('no connection'),
    });
  },
);
