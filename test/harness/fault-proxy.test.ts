/** Each fault of the proxy, as the client and as the service behind it see it; the service is the OSS double. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { makeBytes, md5 } from './bytes.ts';
import { createDice } from './fault-dice.ts';
import { type FaultProxy, type ProxiedCall, startFaultProxy } from './fault-proxy.ts';
import { createOssClient } from './oss/client.ts';
import { type OssRequest, type RunningOss, startOss } from './oss/oss.ts';
import { readS3Call } from './s3-call.ts';

const MIB = 1024 * 1024;

let oss: RunningOss;
let proxy: FaultProxy;
let client: S3Client;
let Bucket: string;

beforeAll(async () => {
  oss = await startOss();
  proxy = await startFaultProxy({ toPort: oss.port });
  client = createOssClient(oss, { port: proxy.port });
  Bucket = oss.bucket;
});

afterEach(() => proxy.clear());

afterAll(async () => {
  client.destroy();
  await proxy.stop();
  await oss.stop();
});

function put(Key: string, Body: Uint8Array | string = 'a') {
  return client.send(new PutObjectCommand({ Bucket, Key, Body }));
}

/** Calls that the double has seen for a key. */
function seen(key: string): OssRequest[] {
  return oss.requests().filter((request) => request.key === key);
}

function isStored(key: string): boolean {
  return oss.objects().some((object) => object.key === key);
}

test('a call that no rule matches passes: signatures hold, bytes stay the same', async () => {
  const bytes = makeBytes(3 * MIB);
  await put('pass on+ü', bytes);
  const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket, Key: 'pass on+ü', Range: 'bytes=1-' }));
  expect(ETag).toBe(`"${md5(bytes).toUpperCase()}"`);
  expect(md5((await Body?.transformToByteArray()) ?? new Uint8Array())).toBe(md5(bytes.subarray(1)));
  const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'pass on+ü' }));
  expect(head.ContentLength).toBe(bytes.length);
  await expect(put('//no')).rejects.toMatchObject({ name: 'InvalidObjectName' });
});

test('a rule matches by operation, part number, key and occurrence', async () => {
  const rule = proxy.place({
    operation: 'UploadPart',
    partNumber: 2,
    nth: 2,
    times: 2,
    fault: { kind: 'answer', status: 503 },
  });
  const Key = 'picked';
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const part = async (PartNumber: number) => {
    const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: makeBytes(102_400, PartNumber) });
    return client.send(command).then(
      ({ ETag }) => ETag,
      (error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode,
    );
  };
  const first = await part(1);
  const answers = [await part(2), await part(2), await part(2), await part(2)];
  expect(answers).toEqual([answers[0], 503, 503, answers[0]]);
  expect(rule.hits()).toBe(2);
  await rule.hit;
  const Parts = [first, answers[0]].map((ETag, i) => ({ PartNumber: i + 1, ETag: String(ETag) }));
  await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
  proxy.place({ key: /^only-/, fault: { kind: 'reset' } });
  await put('not-me');
  await expect(put('only-me')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(proxy.calls().slice(-2)).toMatchObject([
    { operation: 'PutObject', key: 'not-me', fault: undefined, status: 200 },
    { operation: 'PutObject', key: 'only-me', fault: { kind: 'reset' }, status: undefined },
  ]);
});

describe('faults', () => {
  test.each([500, 503, 429])('answer %i: not performed', async (status) => {
    const key = `answer-${status}`;
    proxy.place({ key, fault: { kind: 'answer', status, retryAfterSeconds: 7 } });
    const error = await put(key, makeBytes(MIB)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: { 500: 'InternalError', 503: 'SlowDown', 429: 'TooManyRequests' }[status],
      $metadata: { httpStatusCode: status },
      $response: { headers: { 'retry-after': '7' } },
    });
    expect(seen(key)).toHaveLength(0);
  });

  test('answer 200 with an error in the body, as Complete may', async () => {
    const Key = 'error-in-200';
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    proxy.place({
      operation: 'CompleteMultipartUpload',
      fault: { kind: 'answer', status: 200, code: 'InternalError' },
    });
    const complete = new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts: [] } });
    await expect(client.send(complete)).rejects.toMatchObject({ name: 'InternalError' });
  });

  test('stall before the call: nothing is performed until it continues', async () => {
    const rule = proxy.place({ key: 'stall', fault: { kind: 'stall' } });
    const stalled = put('stall', makeBytes(MIB));
    await rule.hit;
    await put('beside-stall');
    expect(seen('stall')).toHaveLength(0);
    rule.remove();
    await stalled;
    expect(isStored('stall')).toBe(true);
  });

  test('stall of the answer: performed, and the client waits', async () => {
    const rule = proxy.place({ key: 'stall-answer', fault: { kind: 'stall', at: 'answer' } });
    const gaveUp = new AbortController();
    const stalled = client.send(new PutObjectCommand({ Bucket, Key: 'stall-answer', Body: 'a' }), {
      abortSignal: gaveUp.signal,
    });
    await rule.hit;
    await vi.waitFor(() => expect(isStored('stall-answer')).toBe(true));
    gaveUp.abort();
    await expect(stalled).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('stall for a time', async () => {
    proxy.place({ key: 'stall-time', fault: { kind: 'stall', forMs: 100 } });
    const start = performance.now();
    await put('stall-time');
    expect(performance.now() - start).toBeGreaterThan(90);
  });

  test('reset: not performed', async () => {
    proxy.place({ key: 'reset', fault: { kind: 'reset' } });
    await expect(put('reset')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(seen('reset')).toHaveLength(0);
  });

  test.each([0, 100_000, Infinity])('cut the request after %d bytes: begun, never performed', async (afterBytes) => {
    const key = `cut-${afterBytes}`;
    proxy.place({ key, fault: { kind: 'cutRequest', afterBytes } });
    await expect(put(key, makeBytes(MIB))).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:ECONNRESET|EPIPE)$/) as unknown,
    });
    await vi.waitFor(() => expect(seen(key)).toHaveLength(1));
    expect(isStored(key)).toBe(false);
    expect(seen(key)[0]?.status).toBeUndefined();
  });

  test.each([0, 100_000, Infinity])('cut the answer after %d bytes: the client sees a break', async (afterBytes) => {
    await put('long', makeBytes(MIB));
    proxy.place({ operation: 'GetObject', fault: { kind: 'cutAnswer', afterBytes } });
    const { Body, ContentLength } = await client.send(new GetObjectCommand({ Bucket, Key: 'long' }));
    expect(ContentLength).toBe(MIB);
    let received = 0;
    const reading = (async () => {
      for await (const chunk of Body as AsyncIterable<Buffer>) received += chunk.length;
    })();
    await expect(reading).rejects.toThrow('aborted');
    expect(received).toBe(Math.min(afterBytes, MIB - 1));
  });

  test('lose the answer: performed, the client sees a reset', async () => {
    proxy.place({ key: 'lost', fault: { kind: 'loseAnswer' } });
    await expect(put('lost')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(isStored('lost')).toBe(true);
  });

  test('flip and shorten: an answer that looks whole and is not what was stored', async () => {
    const bytes = makeBytes(MIB);
    await put('flipped', bytes);
    const read = async (): Promise<Buffer> => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'flipped' }));
      return Buffer.from((await Body?.transformToByteArray()) ?? new Uint8Array());
    };
    proxy.place({ operation: 'GetObject', fault: { kind: 'flip' } });
    const flipped = await read();
    expect(flipped.filter((byte, at) => byte !== bytes[at])).toHaveLength(1);
    proxy.place({ operation: 'GetObject', fault: { kind: 'shorten', byBytes: 10 } });
    expect((await read()).equals(bytes.subarray(0, -10))).toBe(true);
    expect((await read()).equals(bytes)).toBe(true);
  });

  test("deny: not performed, and the answer is the provider's; wrongEtag: performed", async () => {
    proxy.place({ operation: 'HeadObject', fault: { kind: 'deny', code: 'NoSuchKey' } });
    await put('denied');
    const refused = client.send(new HeadObjectCommand({ Bucket, Key: 'denied' }));
    await expect(refused).rejects.toMatchObject({ $metadata: { httpStatusCode: 404, requestId: expect.any(String) } });
    const { ETag: right } = await client.send(new HeadObjectCommand({ Bucket, Key: 'denied' }));
    proxy.place({ operation: 'HeadObject', fault: { kind: 'wrongEtag' } });
    const { ETag: wrong } = await client.send(new HeadObjectCommand({ Bucket, Key: 'denied' }));
    expect(wrong).toMatch(/^"[0-9a-f]{32}"$/);
    expect(wrong).not.toBe(right);
  });

  test('twice: performed twice, each answer on demand', async () => {
    const bytes = makeBytes(MIB);
    proxy.place({ operation: 'PutObject', fault: { kind: 'twice' } });
    await put('twice', bytes);
    expect(seen('twice').map(({ status }) => status)).toEqual([200, 200]);
    const completeTwice = async (Key: string, answer: 'first' | 'second') => {
      proxy.place({ operation: 'CompleteMultipartUpload', key: Key, fault: { kind: 'twice', answer } });
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const part = { Bucket, Key, UploadId, PartNumber: 1 };
      const { ETag } = await client.send(new UploadPartCommand({ ...part, Body: bytes }));
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
      return client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
    };
    await expect(completeTwice('twice-first', 'first')).resolves.toMatchObject({ Key: 'twice-first' });
    await expect(completeTwice('twice-second', 'second')).rejects.toMatchObject({ name: 'NoSuchUpload' });
    expect(isStored('twice-second')).toBe(true);
  });

  test.each([
    ['late', 0],
    ['doubled', 1],
  ] as const)('%s: performed when it is released, and before that %i times', async (kind, before) => {
    const placed = proxy.place({ operation: 'PutObject', fault: { kind } });
    const answer = put(kind).then(
      () => 'stored',
      () => 'broken',
    );
    expect(await answer).toBe(before === 1 ? 'stored' : 'broken');
    expect(seen(kind)).toHaveLength(before);
    const call = proxy.calls().at(-1);
    expect(call?.isOver).toBe(false);
    placed.remove();
    await vi.waitUntil(() => call?.isOver);
    expect(seen(kind).map(({ status }) => status)).toEqual(Array(before + 1).fill(200));
  });

  test('when the service has exited, the client sees a reset; the proxy keeps running', async () => {
    const mortal = await startOss();
    const before = await startFaultProxy({ toPort: mortal.port });
    onTestFinished(() => before.stop());
    const other = createOssClient(mortal, { port: before.port });
    onTestFinished(() => other.destroy());
    const command = new PutObjectCommand({ Bucket, Key: 'a', Body: 'a' });
    await other.send(command);
    await mortal.stop();
    await expect(other.send(command)).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(other.send(command)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('chaos', () => {
  const calls = Array.from({ length: 400 }, (_, i) =>
    readS3Call({
      method: 'PUT',
      target: `/k${i % 7}?partNumber=${(i % 5) + 1}&uploadId=a`,
      headers: { host: 'b.example' },
    }),
  );

  test('a service can find out every false answer, and downloads of clients are never falsified', () => {
    const dice = createDice({
      seed: 1,
      probability: 1,
      mostPerCall: 400,
      kinds: ['flip', 'shorten', 'deny', 'wrongEtag'],
    });
    const dealt = (target: string, method = 'GET') => {
      const call = readS3Call({ method, target, headers: { host: '127.0.0.1' } });
      return new Set(Array.from({ length: 100 }, () => dice(call)?.kind));
    };
    expect(dealt('/bucket/files/an-id')).toEqual(new Set([undefined]));
    expect(dealt('/bucket/files/tails/an-id/0-a')).toEqual(new Set(['flip', 'shorten', 'deny', undefined]));
    expect(dealt('/bucket/files/an-id?partNumber=1&uploadId=a', 'PUT')).toEqual(
      new Set(['deny', 'wrongEtag', undefined]),
    );
  });

  test('the same seed gives the same faults, another one others', () => {
    const deal = (seed: number) => {
      const dice = createDice({ seed, probability: 0.2 });
      return calls.map((call) => dice(call));
    };
    expect(deal(1)).toEqual(deal(1));
    expect(deal(1)).not.toEqual(deal(2));
    const faults = deal(1).filter((fault) => fault !== undefined);
    expect(faults.length).toBeGreaterThan(40);
    expect(faults.length).toBeLessThan(120);
    // All kinds but those that are only for tails.
    expect(new Set(faults.map(({ kind }) => kind)).size).toBe(9);
  });

  test('no call fails more often than the limit', () => {
    const dice = createDice({ seed: 1, probability: 1, mostPerCall: 2 });
    const [call] = calls;
    if (!call) throw new Error('no call');
    expect([dice(call), dice(call), dice(call)].map((fault) => fault !== undefined)).toEqual([true, true, false]);
  });

  test('a client that retries succeeds with every call', async () => {
    proxy.setChaos({ seed: 42, probability: 0.5, longestStallMs: 50, mostPerCall: 2 });
    const earlier: ProxiedCall[] = proxy.calls();
    for (let i = 0; i < 20; i++) {
      const bytes = makeBytes(100_000, i + 1);
      let attempts = 0;
      const attempt = (): Promise<unknown> =>
        ++attempts < 10 ? put(`chaos-${i}`, bytes).catch(attempt) : put(`chaos-${i}`, bytes);
      await attempt();
      expect(oss.objects().find(({ key }) => key === `chaos-${i}`)?.etag).toBe(md5(bytes).toUpperCase());
    }
    const hit = proxy
      .calls()
      .slice(earlier.length)
      .filter(({ fault }) => fault !== undefined);
    expect(hit.length).toBeGreaterThan(5);
  });
});
