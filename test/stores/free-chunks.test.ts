/** The memory of a request's bytes. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { freeChunks } from '../../stores/free-chunks.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import type { StoredUpload, Written } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

/** Sends a body to a server on this machine. @returns what `receive` makes of the request. */
async function send<T>(body: Uint8Array, receive: (request: IncomingMessage) => Promise<T>): Promise<T> {
  let received: Promise<T> | undefined;
  const server = createServer((incoming, response) => {
    received = receive(incoming).finally(() => response.end());
  });
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const outgoing = request({ port, host: '127.0.0.1', method: 'PUT', agent: false });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  if (!received) throw new Error('no request came');
  return received;
}

/** Stores a request's body. @returns what was stored, and the chunks of the request as they are then. */
async function store(bytes: Uint8Array): Promise<{ written: Written; stored: Buffer; chunks: Uint8Array[] }> {
  const local = await openLocalStore({ folder: await makeTempFolder() });
  const digests = createDigestPool(['md5']);
  onTestFinished(() => digests.close());
  const upload: StoredUpload = {
    id: 'an-upload',
    size: bytes.length,
    offset: 0,
    snapshot: null,
    storeState: null,
    filename: 'a.txt',
    filetype: null,
  };
  return send(bytes, async (incoming) => {
    const chunks: Uint8Array[] = [];
    const written = await local.writeUpload(incoming, upload, {
      digests,
      signal: new AbortController().signal,
      maxBytes: bytes.length,
      commit: async () => undefined,
      onReading: () => incoming.on('data', (chunk: Uint8Array) => chunks.push(chunk)),
    });
    return { written, chunks, stored: await buffer((await local.readUpload(upload)) ?? Readable.from([])) };
  });
}

// Hashed on the main thread, and written from the chunks; hashed on a thread, and written from there.
test.each([1, 50_000, 3_000_000])('%d bytes of a request are stored, and no memory is left of it', async (size) => {
  const bytes = makeBytes(size, 1);
  const { written, stored, chunks } = await store(bytes);
  expect(written).toMatchObject({ offset: size, digests: { md5: md5(bytes) } });
  expect(stored.equals(bytes)).toBe(true);
  expect(chunks.length).toBeGreaterThan(0);
  expect(chunks.map(({ buffer: memory }) => memory.byteLength)).toEqual(chunks.map(() => 0));
});

test('the memory of other sources is theirs', () => {
  const source = Readable.from([]);
  const chunk = new Uint8Array(100);
  freeChunks(source, [chunk]);
  expect(chunk).toHaveLength(100);
});

test('memory that a chunk shares with others is not freed', async () => {
  const whole = new Uint8Array(100);
  const shared = new Uint8Array(new SharedArrayBuffer(10));
  await send(new Uint8Array(1), async (incoming) => {
    freeChunks(incoming, [whole.subarray(1), shared]);
    incoming.resume();
  });
  expect([whole.length, shared.length]).toEqual([100, 10]);
});
