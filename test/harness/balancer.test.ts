/** The balancer deals out requests in turn, keeps nothing, and breaks what a node breaks. */
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Balancer, openBalancer } from './balancer.ts';
import { send } from './tus.ts';

let nodes: Server[];
let balancer: Balancer;
/** Bytes that have come to each node so far. */
let received: number[];

beforeEach(async () => {
  received = [0, 0, 0];
  nodes = received.map((_, number) =>
    createServer((incoming, outgoing) => {
      incoming.on('error', () => undefined);
      incoming.on('data', (chunk: Buffer) => (received[number] = (received[number] ?? 0) + chunk.length));
      incoming.on('end', () => outgoing.end(`${number} ${incoming.headers.host}`));
    }),
  );
  for (const node of nodes) await once(node.listen(0, '127.0.0.1'), 'listening');
  balancer = await openBalancer(nodes.map((node) => (node.address() as AddressInfo).port));
});

afterEach(async () => {
  await balancer.close();
  for (const node of nodes) {
    node.closeAllConnections();
    node.close();
  }
});

async function askFor(times: number): Promise<string> {
  const answers: string[] = [];
  for (let asked = 0; asked < times; asked++) answers.push((await send('POST', balancer.url, { body: 'a' })).body);
  return answers.map((answer) => answer.split(' ')[0]).join('');
}

test('each request goes to the next node, with the Host that the client asked', async () => {
  expect(await askFor(4)).toBe('0120');
  expect((await send('GET', balancer.url)).body).toBe(`1 ${new URL(balancer.url).host}`);
});

test('a node that accepts no connection is passed over', async () => {
  nodes[1]?.close();
  expect(await askFor(4)).toBe('0202');
});

test('a body arrives while it is sent, and a node that breaks off breaks the connection of its client', async () => {
  const sending = request(balancer.url, { method: 'POST', headers: { 'Content-Length': '1000' } });
  const broken = once(sending, 'error');
  sending.write(Buffer.alloc(10));
  await expect.poll(() => received).toEqual([10, 0, 0]);
  nodes[0]?.closeAllConnections();
  expect((await broken)[0]).toMatchObject({ code: 'ECONNRESET' });
});

test('a client that breaks off breaks the connection to its node', async () => {
  const sending = request(balancer.url, { method: 'POST', headers: { 'Content-Length': '1000' } });
  sending.on('error', () => undefined);
  sending.write(Buffer.alloc(10));
  await expect.poll(() => received).toEqual([10, 0, 0]);
  sending.destroy();
  const open = async (): Promise<number> =>
    new Promise((resolve) => nodes[0]?.getConnections((_, count) => resolve(count)));
  await expect.poll(open).toBe(0);
});
