/**
 * What a writer that has lost its lease can do to a bucket: nothing that anybody sees. The database fences offsets, and the
 * bucket performs whatever it is sent, however late. Part of the suite of every store in a bucket.
 */
import { PART } from '../harness/part.ts';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import type { Commit, Store, StoredUpload } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import type { Bucket, OpenStore } from './bucket-suite.ts';
import { createTestLedger } from './contract.ts';

const NEVER = new AbortController().signal;
const POLL = { interval: 5, timeout: 20_000 };

/** A node with a store of its own, as far as a bucket is concerned. */
interface Node {
  store: Store;
  /** All writes of it are refused by the catalog from now on. */
  hasLostLease: boolean;
}

export function describeFencing(name: string, openStore: OpenStore, startBucket: () => Promise<Bucket>): void {
  describe(`a stale writer to ${name}`, () => {
    const ledger = createTestLedger();
    let bucket: Bucket;
    let proxy: FaultProxy;
    let digests: DigestPool;
    let stale: Node;
    let holder: Node;

    beforeAll(async () => {
      bucket = await startBucket();
      proxy = await startFaultProxy({ toPort: bucket.port });
      digests = createDigestPool(['md5']);
      holder = await openNode();
    });
    afterEach(async () => {
      proxy.clear();
      await stale.store.close();
    });
    afterAll(async () => {
      await holder.store.close();
      await digests.close();
      await proxy.stop();
      await bucket.stop();
    });

    async function openNode(): Promise<Node> {
      const settings = { ...bucket.settings, endpoint: bucket.through(proxy.port) };
      return { store: await openStore(settings, ledger), hasLostLease: false };
    }

    function newUpload(size: number | null): StoredUpload {
      return { id: randomUUID(), size, offset: 0, snapshot: null, storeState: null, filename: null, filetype: null };
    }

    /** Writes; the upload as the catalog has it then. What fails, fails as it does when a node dies. */
    async function write(node: Node, upload: StoredUpload, bytes: Buffer): Promise<StoredUpload> {
      let row = upload;
      const commit = async (progress: Commit): Promise<void> => {
        if (node.hasLostLease) throw new Error('the lease is lost');
        row = { ...row, ...progress };
        for (const part of progress.parts ?? []) ledger.record(upload.id, part);
      };
      const options = { digests, signal: NEVER, maxBytes: Number.MAX_SAFE_INTEGER, commit };
      await node.store.writeUpload(Readable.from([bytes]), upload, options).catch(() => undefined);
      return row;
    }

    /** Sends a PutObject that the bucket gets to see only when it is told to; then the node dies. */
    async function sendLate(upload: StoredUpload, bytes: Buffer): Promise<{ arrive: () => Promise<void> }> {
      const late = proxy.place({ operation: 'PutObject', fault: { kind: 'late' } });
      const writing = write(stale, upload, bytes);
      await late.hit;
      const call = proxy.calls().at(-1);
      await expect.poll(() => call?.isOpen, POLL).toBe(false);
      await stale.store.close();
      await writing;
      return {
        arrive: async () => {
          late.remove();
          await expect.poll(() => call?.isOver, POLL).toBe(true);
        },
      };
    }

    /** What the next lease does first, as nobody knows what the writer before it did. */
    async function recovered(upload: StoredUpload): Promise<StoredUpload> {
      return { ...upload, ...(await holder.store.recoverUpload(upload, digests, NEVER)) };
    }

    async function publish(upload: StoredUpload, bytes: Buffer): Promise<string> {
      const key = holder.store.keyFor(upload, { md5: md5(bytes), variant: 0 });
      await holder.store.finalize(upload, key);
      ledger.contents.add(key);
      return key;
    }

    async function contentMd5(key: string): Promise<string> {
      return md5(await buffer(await holder.store.readContent(key)));
    }

    async function expectNothingLeft(upload: StoredUpload, key: string): Promise<void> {
      await holder.store.discardUpload(upload, 'keep');
      ledger.contents.delete(key);
      await holder.store.removeContent(key);
      proxy.clear();
      expect(await holder.store.place?.hasBytes()).toBe(false);
    }

    test('replaces no content, however late its PutObject comes', async () => {
      stale = await openNode();
      const [others, bytes] = [makeBytes(200_000, 71), makeBytes(200_000, 72)];
      const upload = newUpload(bytes.length);
      const late = await sendLate(upload, others);
      const done = await write(holder, await recovered(upload), bytes);
      const key = await publish(done, bytes);
      await late.arrive();
      expect(await contentMd5(key)).toBe(md5(bytes));
      await expectNothingLeft(done, key);
    });

    test('replaces no content that was put together of parts', async () => {
      stale = await openNode();
      const [others, bytes] = [makeBytes(200_000, 73), makeBytes(PART + 1, 74)];
      const upload = newUpload(null);
      // It was told that this is all of it.
      const late = await sendLate({ ...upload, size: others.length }, others);
      const done = { ...(await write(holder, await recovered(upload), bytes)), size: bytes.length };
      const key = await publish(done, bytes);
      await late.arrive();
      expect(await contentMd5(key)).toBe(md5(bytes));
      await expectNothingLeft(done, key);
    });

    test('replaces no tail that is being published', async () => {
      stale = await openNode();
      const [others, bytes] = [makeBytes(200_000, 75), makeBytes(200_000, 76)];
      const upload = newUpload(null);
      const late = await sendLate({ ...upload, size: others.length }, others);
      const done = { ...(await write(holder, await recovered(upload), bytes)), size: bytes.length };
      const key = await publish(done, bytes);
      await late.arrive();
      expect(await contentMd5(key)).toBe(md5(bytes));
      await expectNothingLeft(done, key);
    });

    test('takes no place of bytes that were deleted and sent again, though the network doubles its PutObject', async () => {
      stale = await openNode();
      const bytes = makeBytes(200_000, 77);
      const doubled = proxy.place({ operation: 'PutObject', fault: { kind: 'doubled' } });
      const first = await write(stale, newUpload(bytes.length), bytes);
      const call = proxy.calls().at(-1);
      const before = await publish(first, bytes);
      await holder.store.discardUpload(first, 'keep');
      ledger.contents.delete(before);
      await holder.store.removeContent(before);
      const again = await write(holder, newUpload(bytes.length), bytes);
      const key = await publish(again, bytes);
      doubled.remove();
      await expect.poll(() => call?.isOver, POLL).toBe(true);
      expect(await contentMd5(key)).toBe(md5(bytes));
      await holder.store.removeContent(before);
      await expectNothingLeft(again, key);
    });

    test('gets no part with other bytes into a content: the upload ends', async () => {
      stale = await openNode();
      const [others, bytes] = [makeBytes(2 * PART, 78), makeBytes(2 * PART, 79)];
      const begun = await write(holder, newUpload(bytes.length), bytes.subarray(0, 1000));
      const half = await write(holder, begun, bytes.subarray(1000, PART + 1000));
      // It wakes up, and sends what it had of the first part.
      stale.hasLostLease = true;
      await write(stale, { ...half, offset: 0, snapshot: null }, others.subarray(0, PART));
      const done = await write(holder, half, bytes.subarray(PART + 1000));
      expect(done.offset).toBe(bytes.length);
      await expect(publish(done, bytes)).rejects.toMatchObject({ code: 'missing' });
      const key = holder.store.keyFor(done, { md5: md5(bytes), variant: 0 });
      expect(await holder.store.contentSize(key)).toBeUndefined();
      await holder.store.discardUpload(done, 'remove');
      expect(await holder.store.place?.hasBytes()).toBe(false);
    }, 60_000);

    test('does not matter where its part comes before the right one', async () => {
      stale = await openNode();
      const [others, bytes] = [makeBytes(2 * PART, 80), makeBytes(2 * PART, 81)];
      const begun = await write(holder, newUpload(bytes.length), bytes.subarray(0, PART));
      stale.hasLostLease = true;
      await write(stale, begun, others.subarray(PART));
      const done = await write(holder, begun, bytes.subarray(PART));
      const key = await publish(done, bytes);
      expect(await contentMd5(key)).toBe(md5(bytes));
      await expectNothingLeft(done, key);
    });
  });
}
