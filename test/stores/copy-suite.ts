/** Joining in a bucket, which copies the parts itself where one partial has all their bytes. Of the suite of every bucket. */
import { PART } from '../harness/part.ts';
import { PutObjectCommand, S3 } from '@aws-sdk/client-s3';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import type { Store, StoredUpload, WriteOptions, Written } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import type { Fault } from '../harness/faults.ts';
import type { Bucket, OpenStore } from './bucket-suite.ts';
import { createTestLedger } from './contract.ts';

const NEVER = new AbortController().signal;
const CHAOS_ROUNDS = 2;
/** Of the final's five parts, the third has bytes of all partials, and the last is short. */
const PIECES = [makeBytes(2 * PART + 5, 81), makeBytes(300, 82), makeBytes(2 * PART, 83)];
const WHOLE = Buffer.concat(PIECES);

/** Calls that stored parts: `copy 1`, `send 3`. */
type PartCalls = string[];

export function describeCopying(name: string, openStore: OpenStore, startBucket: () => Promise<Bucket>): void {
  describe(`joining in ${name}`, () => {
    const ledger = createTestLedger();
    const partials: StoredUpload[] = [];
    let bucket: Bucket;
    let proxy: FaultProxy;
    let digests: DigestPool;
    let store: Store;

    beforeAll(async () => {
      bucket = await startBucket();
      proxy = await startFaultProxy({ toPort: bucket.port });
      digests = createDigestPool(['md5']);
      store = await openNode();
      for (const piece of PIECES) {
        const options = { maxBytes: piece.length };
        const { row } = await run(newUpload(piece.length), (upload, rest) =>
          store.writeUpload(Readable.from([piece]), upload, { ...rest, ...options }),
        );
        partials.push(row);
      }
    });
    afterEach(() => proxy.clear());
    afterAll(async () => {
      await store.close();
      await digests.close();
      await proxy.stop();
      await bucket.stop();
    });

    function openNode(): Promise<Store> {
      return openStore({ ...bucket.settings, endpoint: bucket.through(proxy.port) }, ledger);
    }

    function newUpload(size: number): StoredUpload {
      return { id: randomUUID(), size, offset: 0, snapshot: null, storeState: null, filename: null, filetype: null };
    }

    /** Runs a write; the upload's row then. @param diesAt - no commit to this offset or a later one succeeds. */
    async function run(
      upload: StoredUpload,
      write: (upload: StoredUpload, options: Omit<WriteOptions, 'maxBytes'>) => Promise<Written>,
      diesAt = Infinity,
    ): Promise<{ row: StoredUpload; written?: Written; error?: unknown }> {
      let row = upload;
      const commit: WriteOptions['commit'] = async (progress) => {
        if (progress.offset >= diesAt) throw new Error('the node has died');
        row = { ...row, ...progress };
        for (const part of progress.parts ?? []) ledger.record(upload.id, part);
      };
      const outcome = await write(upload, { digests, signal: NEVER, commit }).then(
        (written) => ({ written }),
        (error: unknown) => ({ error }),
      );
      return { row, ...outcome };
    }

    function join(upload: StoredUpload, by = store, diesAt?: number): ReturnType<typeof run> {
      return run(upload, (row, options) => by.joinUploads(row, partials, options), diesAt);
    }

    function partCalls({ id }: StoredUpload): PartCalls {
      return proxy.calls().flatMap(({ operation, key, partNumber }) => {
        if (!key.includes(id) || partNumber === undefined || !operation.startsWith('UploadPart')) return [];
        return [`${operation === 'UploadPartCopy' ? 'copy' : 'send'} ${partNumber}`];
      });
    }

    async function expectContent(upload: StoredUpload, by = store): Promise<void> {
      const key = by.keyFor(upload, { md5: md5(WHOLE), variant: 0 });
      await by.finalize(upload, key);
      expect(md5(await buffer(await by.readContent(key, undefined, undefined, WHOLE.length)))).toBe(md5(WHOLE));
      await by.discardUpload(upload, 'remove');
    }

    test('the bucket copies the parts that one partial has, and is sent the others', async () => {
      const { row, written } = await join(newUpload(WHOLE.length));
      expect(written).toMatchObject({ offset: WHOLE.length, digests: { md5: md5(WHOLE) } });
      expect(partCalls(row).toSorted()).toEqual(['copy 1', 'copy 2', 'copy 4', 'send 3', 'send 5']);
      const parts = await ledger.parts(row.id);
      expect(parts.map(({ number, start }) => [number, start / PART])).toEqual([1, 2, 3, 4, 5].map((n) => [n, n - 1]));
      await expectContent(row);
    });

    test.each<[string, Fault, PartCalls]>([
      ['is not allowed', { kind: 'answer', status: 403, code: 'AccessDenied' }, ['send 1']],
      ['is not known', { kind: 'answer', status: 501, code: 'NotImplemented' }, ['send 1']],
      ['finds no source', { kind: 'deny', code: 'NoSuchKey' }, ['send 1']],
      ['fails again and again', { kind: 'answer', status: 200, code: 'InternalError' }, ['copy 1', 'send 1']],
    ])('where copying %s, the bytes are sent', async (_, fault, more) => {
      proxy.place({ operation: 'UploadPartCopy', partNumber: 1, times: Infinity, fault });
      const { row, written } = await join(newUpload(WHOLE.length));
      expect(written?.digests).toEqual({ md5: md5(WHOLE) });
      expect(partCalls(row).filter((call) => call.endsWith(' 1'))).toEqual(['copy 1', ...more]);
      await expectContent(row);
    });

    test('copies whose answers are lost, are 503 once, or come after a second copy cost nothing', async () => {
      proxy.place({ operation: 'UploadPartCopy', partNumber: 1, fault: { kind: 'loseAnswer' } });
      proxy.place({ operation: 'UploadPartCopy', partNumber: 2, fault: { kind: 'answer', status: 503 } });
      proxy.place({ operation: 'UploadPartCopy', partNumber: 4, fault: { kind: 'twice' } });
      const { row } = await join(newUpload(WHOLE.length));
      expect(
        partCalls(row)
          .filter((call) => call.startsWith('send'))
          .toSorted(),
      ).toEqual(['send 3', 'send 5']);
      await expectContent(row);
    });

    test('other bytes than those that were hashed do not count: the hashed ones are sent', async () => {
      const [first] = partials;
      if (!first) throw new Error('there are no partials');
      const held = proxy.place({
        operation: 'UploadPartCopy',
        partNumber: 1,
        times: Infinity,
        fault: { kind: 'stall' },
      });
      const upload = newUpload(WHOLE.length);
      const joining = join(upload);
      // Part 4 is sent once all bytes of the first partial are read.
      await expect.poll(() => partCalls(upload), { timeout: 20_000 }).toContain('copy 4');
      await overwrite(first, makeBytes(2 * PART + 5, 84));
      held.remove();
      const { row, written } = await joining;
      await overwrite(first, PIECES[0] ?? Buffer.alloc(0));
      expect(written?.digests).toEqual({ md5: md5(WHOLE) });
      expect(partCalls(row).filter((call) => call.endsWith(' 1'))).toEqual(['copy 1', 'send 1']);
      await expectContent(row);
    });

    /** Replaces the object of a partial. */
    async function overwrite(partial: StoredUpload, bytes: Buffer): Promise<void> {
      const key = store.keyFor(partial, { md5: '', variant: 0 });
      const about = { Metadata: { 'upload-id': partial.id } };
      const { endpoint, region, accessKeyId, secretAccessKey, bucket: Bucket } = bucket.settings;
      const client = new S3({
        endpoint: endpoint ?? '',
        region: region ?? '',
        credentials: { accessKeyId, secretAccessKey },
        forcePathStyle: new URL(endpoint ?? '').hostname === '127.0.0.1',
        requestChecksumCalculation: 'WHEN_REQUIRED',
      });
      await client.send(new PutObjectCommand({ Bucket, Key: key, Body: bytes, ...about }));
      client.destroy();
    }

    test('after the death of a node another one continues behind the last copied part', async () => {
      const { row, error } = await join(newUpload(WHOLE.length), store, 3 * PART);
      expect(error).toMatchObject({ message: 'the node has died' });
      expect(row.offset).toBe(2 * PART);
      const before = partCalls(row).length;
      const other = await openNode();
      const recovered = { ...row, ...(await other.recoverUpload(row, digests, NEVER)) };
      const rest = await join(recovered, other);
      expect(rest.written?.digests).toEqual({ md5: md5(WHOLE) });
      expect(partCalls(row).slice(before).toSorted()).toEqual(['copy 4', 'send 3', 'send 5']);
      await expectContent(rest.row, other);
      await other.close();
    });

    test('whatever goes wrong, the joined bytes are right', async () => {
      for (let round = 1; round <= CHAOS_ROUNDS; round++) {
        proxy.setChaos({ seed: round, probability: 0.25 });
        let upload = newUpload(WHOLE.length);
        for (let tried = 0; upload.offset < WHOLE.length; tried++) {
          expect(tried, `round ${round}`).toBeLessThan(50);
          const told = upload.offset;
          ({ row: upload } = await join(upload));
          expect(upload.offset, `round ${round}`).toBeGreaterThanOrEqual(told);
        }
        proxy.setChaos(undefined);
        await expectContent(upload);
      }
    }, 120_000);

    test('nothing stays once the partials are discarded', async () => {
      for (const partial of partials) await store.discardUpload(partial, 'remove');
      for (const partial of partials) {
        expect(await store.contentSize(store.keyFor(partial, { md5: '', variant: 0 }))).toBeUndefined();
      }
      const found: string[] = [];
      for await (const id of store.listUnfinished()) found.push(id);
      expect(found).toEqual([]);
    });
  });
}
