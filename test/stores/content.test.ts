/** Reading an object over a connection that breaks: on the OSS double, by way of a proxy that breaks it. */
import { PART } from '../harness/part.ts';
import { PutObjectCommand, S3 } from '@aws-sdk/client-s3';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { OSS_PRESET } from '../../stores/oss/preset.ts';
import { setUpClient } from '../../stores/s3/client.ts';
import { openContent } from '../../stores/s3/content.ts';
import { createObjects, type Objects } from '../../stores/s3/objects.ts';
import { createSender, type Sender } from '../../stores/s3/sender.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { regionHost } from '../harness/oss/address.ts';
import { createOssClient } from '../harness/oss/client.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { type RunningOss, startOss } from '../harness/oss/oss.ts';

await import(RESOLVE_HERE);

const MIB = 1024 * 1024;
const SIZE = 12 * MIB;
const bytes = makeBytes(SIZE, 81);
const KEY = 'content';

let oss: RunningOss;
let proxy: FaultProxy;
let client: S3;
let sender: Sender;
let objects: Objects;
let seen = 0;
const closers: (() => void)[] = [];

async function put(body: Buffer): Promise<void> {
  const writer = createOssClient(oss);
  await writer.send(new PutObjectCommand({ Bucket: oss.bucket, Key: KEY, Body: body }));
  writer.destroy();
}

/** Reads it to its end; a failed expectation would print the bytes themselves. */
async function lengthOf(stream: Readable): Promise<number> {
  return (await buffer(stream)).length;
}

/** How many requests for the object came since the last time it was asked for. */
function newReads(): number {
  const calls = proxy.calls();
  return calls.slice(seen, (seen = calls.length)).length;
}

beforeAll(async () => {
  oss = await startOss();
  proxy = await startFaultProxy({ toPort: oss.port });
  const settings = {
    endpoint: `http://${regionHost(oss.region)}:${proxy.port}`,
    region: oss.region,
    bucket: oss.bucket,
    prefix: '',
    accessKeyId: oss.accessKeyId,
    secretAccessKey: oss.secretAccessKey,
    bufferBytes: 0,
    partBytes: PART,
    pathStyle: null,
    endpointIsBucket: false,
  };
  const { config, agents, closeConnections } = setUpClient(OSS_PRESET, settings);
  client = new S3(config);
  closers.push(() => client.destroy(), closeConnections);
  sender = createSender(client, oss.bucket, agents);
  objects = createObjects({ client, sender }, oss.bucket, OSS_PRESET, new AbortController().signal);
  await put(bytes);
});
afterEach(() => {
  proxy.clear();
  newReads();
});
afterAll(async () => {
  for (const close of closers) close();
  await proxy.stop();
  await oss.stop();
});

test.each([
  ['whole', undefined],
  ['a range', { start: 1234, end: SIZE - 99 }],
])('%s: resumes where the connection broke, as often as it made progress', async (_, range) => {
  proxy.place({ operation: 'GetObject', times: 8, fault: { kind: 'cutAnswer', afterBytes: MIB + 4321 } });
  const read = await buffer(await openContent(objects, KEY, { range }));
  expect(read.equals(bytes.subarray(range?.start ?? 0, (range?.end ?? SIZE - 1) + 1))).toBe(true);
  expect(newReads()).toBe(9);
});

test('an empty object, one byte, and the last one', async () => {
  expect((await buffer(await openContent(objects, KEY, { range: { start: SIZE - 1, end: SIZE - 1 } }))).length).toBe(1);
  await put(Buffer.alloc(0));
  expect((await buffer(await openContent(objects, KEY))).length).toBe(0);
  await put(bytes);
});

test('a bucket that goes silent is asked anew; a reader that rests is waited for', async () => {
  const silent = proxy.place({
    operation: 'GetObject',
    fault: { kind: 'cutAnswer', afterBytes: 3 * MIB, silently: true },
  });
  const read = await buffer(await openContent(objects, KEY, { silenceMs: 700 }));
  expect(read.equals(bytes)).toBe(true);
  expect(silent.hits()).toBe(1);
  expect(newReads()).toBe(2);

  const stream = await openContent(objects, KEY, { silenceMs: 700 });
  await once(stream, 'readable');
  // Longer than the bucket may be silent: it is the reader's turn.
  await wait(1_500);
  expect((await buffer(stream)).equals(bytes)).toBe(true);
  expect(newReads()).toBe(1);
});

test('ends with an error once it was tried often enough', async () => {
  proxy.place({ operation: 'GetObject', times: Infinity, fault: { kind: 'cutAnswer', afterBytes: 1000 } });
  const reading = lengthOf(await openContent(objects, KEY));
  await expect(reading).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(KEY) });
  expect(newReads()).toBe(6);
});

test('ends with an error when the object is gone, or another one', async () => {
  proxy.place({ operation: 'GetObject', fault: { kind: 'cutAnswer', afterBytes: 2 * MIB } });
  proxy.place({ operation: 'GetObject', nth: 2, fault: { kind: 'answer', status: 404, code: 'NoSuchKey' } });
  await expect(lengthOf(await openContent(objects, KEY))).rejects.toMatchObject({ code: 'missing' });

  proxy.clear();
  proxy.place({ operation: 'GetObject', fault: { kind: 'cutAnswer', afterBytes: 2 * MIB, silently: true } });
  const stream = await openContent(objects, KEY, { silenceMs: 500 });
  await put(makeBytes(SIZE, 82));
  await expect(lengthOf(stream)).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('another') });
  await put(bytes);
});

test('a refusal that breaks off proves nothing: the call is repeated', async () => {
  proxy.place({ operation: 'GetObject', fault: { kind: 'cutAnswer', afterBytes: 20 } });
  await expect(openContent(objects, 'no such key')).rejects.toMatchObject({
    code: 'missing',
    message: expect.stringContaining('NoSuchKey'),
  });
  expect(newReads()).toBe(2);
});

test('the whole object in answer to a range is refused, and its connection is closed', async () => {
  // What OSS does with a range that ends past the object, unless told otherwise.
  const lax = createObjects(
    { client, sender },
    oss.bucket,
    { ...OSS_PRESET, rangeHeaders: {} },
    new AbortController().signal,
  );
  const range = { start: SIZE - 9, end: SIZE };
  await expect(openContent(lax, KEY, { range })).rejects.toMatchObject({ code: 'failed' });
  await expect.poll(() => proxy.calls().filter((call) => call.isOpen)).toEqual([]);
  expect(newReads()).toBe(1);
});

test.each([
  ['while it reads', false],
  ['while the bucket is silent', true],
])('a reader that leaves %s closes the connection', async (_, silently) => {
  const fault = { kind: 'cutAnswer', afterBytes: 2 * MIB, silently: true } as const;
  if (silently) proxy.place({ operation: 'GetObject', fault });
  const stream = await openContent(objects, KEY);
  let length = 0;
  stream.on('data', (chunk: Buffer) => (length += chunk.length));
  await expect.poll(() => length).toBeGreaterThanOrEqual(silently ? 2 * MIB : 1);
  stream.destroy();
  await expect.poll(() => proxy.calls().filter((call) => call.isOpen)).toEqual([]);
  expect(newReads()).toBe(1);
});

test('a reader that leaves before the answer comes ends the attempts', async () => {
  const stalled = proxy.place({ operation: 'GetObject', times: Infinity, fault: { kind: 'stall' } });
  const gone = new AbortController();
  const opening = openContent(objects, KEY, { signal: gone.signal });
  await stalled.hit;
  gone.abort();
  await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
  await expect.poll(() => proxy.calls().filter((call) => call.isOpen)).toEqual([]);
  expect(newReads()).toBe(1);
});
