/** What every store in a bucket must do beside the contract; called once per provider, through a proxy that breaks calls. */
import { PART } from '../harness/part.ts';
import { randomUUID } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import type { S3Settings } from '../../stores/s3/settings.ts';
import type { Commit, Ledger, Store, StoredUpload, Written } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { createTestLedger, describeStoreContract } from './contract.ts';
import { describeCopying } from './copy-suite.ts';
import { describeFencing } from './fencing-suite.ts';

/** A bucket of a provider, real or double. */
export interface Bucket {
  settings: S3Settings;
  port: number;
  /** The endpoint by way of a proxy on this port. */
  through(port: number): string;
  stop(): Promise<void>;
}

export type OpenStore = (settings: S3Settings, ledger: Ledger) => Promise<Store>;

/** Pieces are made of eighths of a part. */
const EIGHTH = PART / 8;
const CHAOS_ROUNDS = 4;

export function describeBucketStore(name: string, openStore: OpenStore, startBucket: () => Promise<Bucket>): void {
  describeStoreContract(name, async () => {
    const bucket = await startBucket();
    const ledger = createTestLedger();
    const store = await openStore(bucket.settings, ledger);
    const opened = [store];
    return {
      store,
      ledger,
      reopen: async () => {
        const again = await openStore(bucket.settings, ledger);
        opened.push(again);
        return again;
      },
      dispose: async () => {
        await Promise.all(opened.map((each) => each.close()));
        await bucket.stop();
      },
    };
  });

  describeFencing(name, openStore, startBucket);

  describeCopying(name, openStore, startBucket);

  describe(`the ${name} store on a bad line`, () => {
    const ledger = createTestLedger();
    let bucket: Bucket;
    let proxy: FaultProxy;
    let store: Store;
    let digests: DigestPool;

    beforeAll(async () => {
      bucket = await startBucket();
      proxy = await startFaultProxy({ toPort: bucket.port });
      store = await openStore({ ...bucket.settings, endpoint: bucket.through(proxy.port) }, ledger);
      digests = createDigestPool(['md5']);
    });
    afterEach(() => proxy.clear());
    afterAll(async () => {
      await store.close();
      await digests.close();
      await proxy.stop();
      await bucket.stop();
    });

    function newUpload(size: number | null): StoredUpload {
      return {
        id: randomUUID(),
        size,
        offset: 0,
        snapshot: null,
        storeState: null,
        filename: 'Größe 名.bin',
        filetype: 'application/x-test',
      };
    }

    /** Writes; the upload as the catalog has it then, whatever became of the write. */
    async function write(
      upload: StoredUpload,
      source: Readable,
      into: Store = store,
    ): Promise<{ upload: StoredUpload; commits: Commit[]; written?: Written; error?: unknown }> {
      const commits: Commit[] = [];
      const outcome = await into
        .writeUpload(source, upload, {
          digests,
          signal: new AbortController().signal,
          maxBytes: Number.MAX_SAFE_INTEGER,
          commit: async (commit) => {
            commits.push(commit);
            for (const part of commit.parts ?? []) ledger.record(upload.id, part);
          },
        })
        .then(
          (written) => ({ written }),
          (error: unknown) => ({ error }),
        );
      return { upload: { ...upload, ...commits.at(-1) }, commits, ...outcome };
    }

    /** Calls since the last time they were asked for. */
    let seen = 0;
    function newCalls(): string[] {
      const operations = proxy.calls().map((call) => call.operation);
      return operations.slice(seen, (seen = operations.length));
    }

    async function expectContent(upload: StoredUpload, bytes: Buffer): Promise<void> {
      const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
      await store.finalize(upload, key);
      expect(await store.contentSize(key)).toBe(bytes.length);
      expect(md5(await buffer(await store.readContent(key)))).toBe(md5(bytes));
      await store.discardUpload(upload, 'remove');
      expect(await store.contentSize(key)).toBeUndefined();
    }

    test('a file of one part is one PutObject', async () => {
      newCalls();
      const bytes = makeBytes(EIGHTH, 31);
      const done = await write(newUpload(bytes.length), Readable.from([bytes]));
      await store.finalize(done.upload, store.keyFor(done.upload, { md5: md5(bytes), variant: 0 }));
      await store.discardUpload(done.upload, 'keep');
      expect(newCalls()).toEqual(['PutObject']);
      await expectContent(done.upload, bytes);
    });

    test('a file of three parts takes five calls, and state is asked of the catalog alone', async () => {
      newCalls();
      const bytes = makeBytes(2 * PART + 5, 32);
      const done = await write(newUpload(bytes.length), Readable.from([bytes]));
      await store.recoverUpload(done.upload, digests, new AbortController().signal);
      await store.finalize(done.upload, store.keyFor(done.upload, { md5: md5(bytes), variant: 0 }));
      await store.discardUpload(done.upload, 'keep');
      expect(newCalls().toSorted()).toEqual([
        'CompleteMultipartUpload',
        'CreateMultipartUpload',
        'UploadPart',
        'UploadPart',
        'UploadPart',
      ]);
      await expectContent(done.upload, bytes);
    });

    test.each([1, 2, 3, 4])('a hole at part %i never counts, and is filled by the next write', async (hole) => {
      const bytes = makeBytes(4 * PART - 3, 33);
      proxy.place({
        operation: 'UploadPart',
        partNumber: hole,
        times: Infinity,
        fault: { kind: 'answer', status: 403, code: 'AccessDenied' },
      });
      const broken = await write(newUpload(bytes.length), Readable.from([bytes]));
      expect(broken.error).toMatchObject({ code: 'unavailable' });
      expect(broken.upload.offset).toBe((hole - 1) * PART);
      proxy.clear();
      const rest = await write(broken.upload, Readable.from([bytes.subarray(broken.upload.offset)]));
      expect(rest.written?.digests).toEqual({ md5: md5(bytes) });
      await expectContent(rest.upload, bytes);
    });

    test('a part that fails and succeeds on retry costs nothing', async () => {
      const bytes = makeBytes(3 * PART, 34);
      proxy.place({ operation: 'UploadPart', partNumber: 1, fault: { kind: 'answer', status: 503 } });
      proxy.place({ operation: 'UploadPart', partNumber: 2, fault: { kind: 'cutRequest', afterBytes: EIGHTH } });
      proxy.place({ operation: 'UploadPart', partNumber: 3, fault: { kind: 'loseAnswer' } });
      const done = await write(newUpload(bytes.length), Readable.from([bytes]));
      expect(done.written?.digests).toEqual({ md5: md5(bytes) });
      await expectContent(done.upload, bytes);
    });

    test('resumes from a tail, again and again', async () => {
      const bytes = makeBytes(2 * PART + 777, 35);
      let upload = newUpload(bytes.length);
      const cuts = [1000, 5 * EIGHTH, PART - 1, PART + 1, PART + 2, 2 * PART, bytes.length];
      for (const cut of cuts) {
        const source = new PassThrough();
        source.end(bytes.subarray(upload.offset, cut));
        ({ upload } = await write(upload, source));
        expect(upload.offset).toBe(cut);
      }
      await expectContent(upload, bytes);
    });

    test('a length declared at the end makes the bytes one part, or the last of several', async () => {
      for (const length of [3 * EIGHTH, PART, PART + 5]) {
        const bytes = makeBytes(length, 36);
        const sent = await write(newUpload(null), Readable.from([bytes]));
        expect(sent.upload.offset).toBe(length);
        await expectContent({ ...sent.upload, size: length }, bytes);
      }
    });

    test.each([
      ['its answer is lost', { kind: 'loseAnswer' }],
      ['it is answered by 500 before it is performed', { kind: 'answer', status: 500 }],
      ['it is answered by 200 with an error', { kind: 'answer', status: 200, code: 'InternalError' }],
      ['it is performed twice', { kind: 'twice', answer: 'second' }],
    ] as const)('the parts are put together once though %s', async (_, fault) => {
      const bytes = makeBytes(PART + 1, 37);
      const done = await write(newUpload(bytes.length), Readable.from([bytes]));
      const placed = proxy.place({ operation: 'CompleteMultipartUpload', fault });
      const key = store.keyFor(done.upload, { md5: md5(bytes), variant: 0 });
      await store.finalize(done.upload, key);
      expect(placed.hits()).toBe(1);
      // As after a restart.
      const other = await openStore(bucket.settings, ledger);
      await other.finalize(done.upload, key);
      await other.close();
      await expectContent(done.upload, bytes);
    });

    test('uploads that need the same bytes at once have them put together once', async () => {
      const bytes = makeBytes(PART + 1, 38);
      // Of unknown length: so the last part is sent when they are put together.
      const sent = await write(newUpload(null), Readable.from([bytes]));
      const upload = { ...sent.upload, size: bytes.length };
      const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
      newCalls();
      await Promise.all([store.finalize(upload, key), store.finalize(upload, key)]);
      const calls = newCalls().filter((call) => /UploadPart|CompleteMultipartUpload/.test(call));
      expect(calls).toEqual(['UploadPart', 'CompleteMultipartUpload']);
      await expectContent(upload, bytes);
    });

    test('the multipart upload of a content is never aborted, also not by another process', async () => {
      const bytes = makeBytes(PART + 1, 42);
      const done = await write(newUpload(bytes.length), Readable.from([bytes]));
      await store.finalize(done.upload, store.keyFor(done.upload, { md5: md5(bytes), variant: 0 }));
      const other = await openStore({ ...bucket.settings, endpoint: bucket.through(proxy.port) }, ledger);
      newCalls();
      await other.discardUpload(done.upload, 'keep');
      expect(newCalls()).toEqual([]);
      await other.close();
      await expectContent(done.upload, bytes);
    });

    test("a 404 that is not the provider's does not say that bytes are gone", async () => {
      const bytes = makeBytes(PART + 1, 43);
      const done = await write(newUpload(bytes.length), Readable.from([bytes]));
      const key = store.keyFor(done.upload, { md5: md5(bytes), variant: 0 });
      proxy.place({ times: Infinity, fault: { kind: 'answer', status: 404, code: 'NotFound' } });
      await expect(store.finalize(done.upload, key)).rejects.toMatchObject({ code: 'unavailable' });
      await expect(store.removeContent(key)).rejects.toMatchObject({ code: 'unavailable' });
      proxy.clear();
      await expectContent(done.upload, bytes);
    });

    test('stalled uploads that hold all the memory make room for one that receives bytes', async () => {
      const narrow = await openStore({ ...bucket.settings, bufferBytes: 4 * PART }, ledger);
      const bytes = makeBytes(2 * PART, 40);
      const slow = Array.from({ length: 4 }, () => {
        const source = new PassThrough();
        source.write(bytes.subarray(0, EIGHTH));
        return { source, writing: write(newUpload(bytes.length), source, narrow) };
      });
      await expect.poll(() => slow.every(({ source }) => source.readableLength === 0)).toBe(true);
      const fast = await write(newUpload(bytes.length), Readable.from([bytes]), narrow);
      expect(fast.written?.digests).toEqual({ md5: md5(bytes) });
      await expectContent(fast.upload, bytes);
      for (const { source } of slow) source.end(bytes.subarray(EIGHTH));
      for (const { writing } of slow) {
        const { upload, written } = await writing;
        expect(written?.digests).toEqual({ md5: md5(bytes) });
        await expectContent(upload, bytes);
      }
      await narrow.close();
    });

    test('whatever goes wrong, the offset that is told is stored, and the published bytes are right', async () => {
      const bytes = makeBytes(3 * PART + 12_345, 41);
      for (let round = 1; round <= CHAOS_ROUNDS; round++) {
        proxy.setChaos({ seed: round, probability: 0.2 });
        let upload = newUpload(round % 4 === 0 ? null : bytes.length);
        for (let tried = 0; upload.offset < bytes.length; tried++) {
          expect(tried, `round ${round}`).toBeLessThan(50);
          const until = Math.min(bytes.length, upload.offset + 1 + ((round * 7919 + tried * 104_729) % (2 * PART)));
          const told = upload.offset;
          ({ upload } = await write(upload, Readable.from([bytes.subarray(upload.offset, until)])));
          expect(upload.offset, `round ${round}`).toBeGreaterThanOrEqual(told);
        }
        upload = { ...upload, size: bytes.length };
        const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
        await store.finalize(upload, key).catch(() => undefined);
        proxy.setChaos(undefined);
        await expectContent(upload, bytes);
      }
    }, 300_000);

    test('leaves nothing behind', async () => {
      const bytes = makeBytes(PART + 1000, 38);
      const broken = await write(newUpload(2 * PART), Readable.from([bytes]));
      expect(broken.upload.offset).toBe(bytes.length);
      await store.discardUpload(broken.upload, 'remove');
      await store.discardUpload(broken.upload, 'remove');
      const again = await write(broken.upload, Readable.from([makeBytes(PART, 39)]));
      expect(again.error).toMatchObject({ code: 'missing' });
      const found: string[] = [];
      for await (const id of store.listUnfinished()) found.push(id);
      expect(found).toEqual([]);
    });
  });
}
