/** The calls that store an upload, made without the SDK, against the double of OSS, which verifies every signature. */
import { PART } from '../harness/part.ts';
import { createHash } from 'node:crypto';
import { S3 } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { listOfParts, refusalOf as refusalIn, textOf } from '../../stores/s3/answers.ts';
import { setUpClient } from '../../stores/s3/client.ts';
import { codeOf, isPassing, retryAfterOf, statusOf, toStoreError } from '../../stores/s3/errors.ts';
import { createSender, type Sender } from '../../stores/s3/sender.ts';
import { OSS_PRESET } from '../../stores/oss/preset.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { regionHost } from '../harness/oss/address.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import type { RunningOss } from '../harness/oss/oss.ts';
import { openOss, useOss } from '../harness/oss/suite.ts';

await import(RESOLVE_HERE);

const suite = useOss();
let proxy: FaultProxy;

beforeAll(async () => {
  proxy = await startFaultProxy({ toPort: suite.oss.port });
});
afterEach(() => proxy.clear());
afterAll(() => proxy.stop());

function openSender(oss: RunningOss, { port = oss.port, secretAccessKey = oss.secretAccessKey } = {}): Sender {
  const { config, agents, closeConnections } = setUpClient(OSS_PRESET, {
    endpoint: `http://${regionHost(oss.region)}:${port}`,
    region: oss.region,
    bucket: oss.bucket,
    prefix: '',
    accessKeyId: oss.accessKeyId,
    secretAccessKey,
    bufferBytes: 0,
    partBytes: PART,
    pathStyle: null,
    endpointIsBucket: false,
  });
  const client = new S3(config);
  onTestFinished(() => {
    client.destroy();
    closeConnections();
  });
  return createSender(client, oss.bucket, agents);
}

function withMd5(bytes: Uint8Array): { bytes: Uint8Array; headers: Record<string, string> } {
  return { bytes, headers: { 'content-md5': createHash('md5').update(bytes).digest('base64') } };
}

function never(): { abortSignal: AbortSignal } {
  return { abortSignal: new AbortController().signal };
}

async function refusalOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.fail('it was not refused'),
    (error: unknown) => error,
  );
}

test.each(['plain', 'a folder/ü +&=?#%', "it's (a) *key*!~", '日本語'])('the key %s', async (key) => {
  const content = withMd5(makeBytes(5000, 1));
  const type = 'text/plain;  charset=utf-8';
  const headers = { ...content.headers, 'content-type': type, 'x-amz-meta-upload-id': 'an  id' };
  const etag = await openSender(suite.oss).put({ ...content, key, headers }, never());
  expect(etag).toBe(`"${createHash('md5').update(content.bytes).digest('hex').toUpperCase()}"`);
  expect(await suite.read(key)).toEqual(Buffer.from(content.bytes));
});

test('a multipart upload', async () => {
  const sender = openSender(suite.oss);
  const key = 'in parts';
  const begun = await sender.post({ key, query: [['uploads', '']], bytes: new Uint8Array(0) }, never());
  const id = textOf(begun, 'UploadId') ?? '';
  const pieces = [makeBytes(200_000, 2), makeBytes(10, 3)];
  const parts = [];
  for (const [index, piece] of pieces.entries()) {
    const number = index + 1;
    const query = [['partNumber', String(number)] as const, ['uploadId', id] as const];
    parts.push({ number, etag: await sender.put({ ...withMd5(piece), key, query }, never()) });
  }
  const bytes = Buffer.from(listOfParts(parts));
  const done = await sender.post({ key, query: [['uploadId', id]], bytes }, never());
  expect(textOf(done, 'Key')).toBe(key);
  expect(await suite.read(key)).toEqual(Buffer.concat(pieces));
});

test('bytes that are not those of Content-MD5 are refused, and not stored', async () => {
  const { headers } = withMd5(makeBytes(100, 4));
  const error = await refusalOf(
    openSender(suite.oss).put({ key: 'other', headers, bytes: makeBytes(100, 5) }, never()),
  );
  expect([statusOf(error), isPassing(error)]).toEqual([400, true]);
  expect(suite.isStored('other')).toBe(false);
});

test('a wrong secret is told as from the SDK', async () => {
  const sender = openSender(suite.oss, { secretAccessKey: 'wrong' });
  const error = await refusalOf(sender.put({ key: 'a', ...withMd5(makeBytes(10)) }, never()));
  expect([codeOf(error), statusOf(error), isPassing(error)]).toEqual(['SignatureDoesNotMatch', 403, false]);
  expect(toStoreError(error, 'storing')).toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('S3_SECRET_ACCESS_KEY'),
  });
});

test.each([-20, 20])('a clock that is off by %i min is refused once', async (minutes) => {
  const sender = openSender(await openOss({ clockOffsetMs: minutes * 60_000 }));
  const content = { key: 'a', ...withMd5(makeBytes(10)) };
  const error = await refusalOf(sender.put(content, never()));
  expect([codeOf(error), isPassing(error)]).toEqual(['RequestTimeTooSkewed', true]);
  expect(await sender.put(content, never())).not.toBe('');
});

test('a provider that asks to wait', async () => {
  const fault = { kind: 'answer', status: 503, code: 'SlowDown', retryAfterSeconds: 7 } as const;
  proxy.place({ operation: 'PutObject', fault });
  const sender = openSender(suite.oss, { port: proxy.port });
  const error = await refusalOf(sender.put({ key: 'a', ...withMd5(makeBytes(10)) }, never()));
  expect([codeOf(error), statusOf(error), isPassing(error), retryAfterOf(error)]).toEqual([
    'SlowDown',
    503,
    true,
    7000,
  ]);
});

test('a refusal that follows a status of 200', async () => {
  proxy.place({ operation: 'CreateMultipartUpload', fault: { kind: 'answer', status: 200, code: 'InternalError' } });
  const begin = { key: 'a', query: [['uploads', ''] as const], bytes: new Uint8Array(0) };
  const error = await refusalOf(openSender(suite.oss, { port: proxy.port }).post(begin, never()));
  expect([codeOf(error), statusOf(error), isPassing(error)]).toEqual(['InternalError', 200, true]);
});

test('a 404 that names no code is that of an object only where it has an id', () => {
  const answer = { status: 404, headers: { 'x-amz-request-id': '1' }, text: '' };
  expect(toStoreError(refusalIn(answer), 'storing').code).toBe('missing');
  expect(toStoreError(refusalIn({ ...answer, headers: {} }), 'storing').code).toBe('unavailable');
});

test('connections that break, before the answer and within it', async () => {
  const sender = openSender(suite.oss, { port: proxy.port });
  const content = { key: 'broken', ...withMd5(makeBytes(3_000_000, 6)) };
  proxy.place({ operation: 'PutObject', fault: { kind: 'cutRequest', afterBytes: 1_000_000 } });
  const cut = await refusalOf(sender.put(content, never()));
  expect([statusOf(cut), isPassing(cut)]).toEqual([undefined, true]);
  proxy.place({ operation: 'CreateMultipartUpload', fault: { kind: 'cutAnswer', afterBytes: 20 } });
  const begin = { key: 'broken', query: [['uploads', ''] as const], bytes: new Uint8Array(0) };
  const within = await refusalOf(sender.post(begin, never()));
  expect([statusOf(within), isPassing(within)]).toEqual([undefined, true]);
  expect(await sender.put(content, never())).not.toBe('');
});

test('an aborted call closes its connection', async () => {
  const sender = openSender(suite.oss, { port: proxy.port });
  const stalled = proxy.place({ operation: 'PutObject', fault: { kind: 'stall' } });
  const controller = new AbortController();
  const sent = refusalOf(sender.put({ key: 'stalled', ...withMd5(makeBytes(10)) }, { abortSignal: controller.signal }));
  await stalled.hit;
  controller.abort();
  expect(await sent).toMatchObject({ message: 'aborted' });
  await expect.poll(() => proxy.calls().filter((call) => call.isOpen)).toEqual([]);
});
