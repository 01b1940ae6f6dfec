/**
 * Power cuts of a service on a bucket, at each of its calls: the call is performed, its answer is lost,
 * and of the catalog there is what was durable when the call was made. What was told is there, the upload goes
 * on to the right bytes, and when it ends instead nothing is left.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import {
  type Commit,
  type Ledger,
  NOTHING_NOTED,
  type Store,
  type StoredPart,
  type StoredUpload,
} from '../../stores/store.ts';
import { openStore } from '../../stores/stores.ts';
import { BUCKETS, PREFIX, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { PART } from '../harness/part.ts';

// This process reaches the double of OSS by its name.
await import(RESOLVE_HERE);

/** A row with its parts. */
interface Row {
  upload: StoredUpload;
  parts: readonly StoredPart[];
}

/** A catalog of one upload, which a power cut brings back to what was durable. */
interface Rows extends Ledger {
  now: Row;
  /** What survives; undefined where not even the upload's creation does. */
  kept: Row | undefined;
  /** Keys that contents have. */
  contents: Set<string>;
  /** What was told to the client. */
  told: number;
  commit(commit: Commit): Promise<void>;
}

/** Uploads by the offsets at which their requests end; `size` null: told with the last request. */
const SCENARIOS: { what: string; size: number; isDeferred?: boolean; cuts: number[] }[] = [
  { what: 'a file of one part', size: 300_000, cuts: [] },
  { what: 'a file of one part in two requests', size: 300_000, cuts: [100_000] },
  { what: 'a file of two parts', size: PART + 5, cuts: [] },
  { what: 'a file of two parts in three requests', size: PART + 7, cuts: [50_000, PART + 3] },
  { what: 'a file whose length is told at the end', size: PART + 9, isDeferred: true, cuts: [PART + 2, PART + 9] },
];

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

describe.each(BUCKETS)('after a power cut at any call to a bucket of $name', ({ missing, start }) => {
  describe.skipIf(missing !== undefined)('the bytes of', () => {
    let bucket: SystemBucket;
    let proxy: FaultProxy;
    let digests: DigestPool;

    beforeAll(async () => {
      bucket = await start();
      proxy = await startFaultProxy({ toPort: bucket.port });
      digests = createDigestPool(['md5']);
    });
    afterAll(async () => {
      await digests.close();
      await proxy.stop();
      await bucket.stop();
    });

    function open(ledger: Ledger): Promise<Store> {
      return openStore(parseConfig(bucket.env(proxy.port)).store, { dataDir: '', ledger });
    }

    test.each(SCENARIOS)('$what are there or nowhere', async (scenario) => {
      const bytes = makeBytes(scenario.size, 90);
      let isCut = true;
      for (let nth = 1; isCut; nth++) {
        for (const then of ['it goes on', 'it ends'] as const) {
          const rows = createRows(scenario.isDeferred ? null : bytes.length);
          const when = `cut at call ${nth}, then ${then}`;
          const cutAt = await runUntilCut(rows, bytes, scenario.cuts, nth);
          isCut = cutAt !== undefined;
          const after: Rows = createRows(null);
          after.now = rows.kept ?? after.now;
          const store = await open(after);
          try {
            if (!isCut || (rows.kept && then === 'it goes on')) {
              expect(rows.kept, when).toBeDefined();
              await goOn(store, after, bytes, { told: rows.told, when });
            } else if (rows.kept) {
              const { id, storeState } = rows.kept.upload;
              await store.discardUpload({ id, storeState: storeState ?? NOTHING_NOTED }, 'remove');
            }
          } finally {
            await store.close();
          }
          expect(await bucket.keys(PREFIX), when).toEqual([]);
          // Where they cannot be listed, one whose beginning was never answered stays: it has no parts.
          if (bucket.listsMultiparts || cutAt !== 'CreateMultipartUpload') {
            expect(
              (await bucket.multiparts()).filter((key) => key.endsWith(rows.now.upload.id)),
              when,
            ).toEqual([]);
          }
        }
      }
    });

    /** What was called when the power went; undefined where the upload was done before. */
    async function runUntilCut(rows: Rows, bytes: Buffer, cuts: number[], nth: number): Promise<string | undefined> {
      const store = await open(rows);
      const begun = proxy.calls().length;
      const cutting = proxy.place({ nth, fault: { kind: 'loseAnswer' } });
      let kept: Row | undefined;
      void cutting.hit.then(() => (kept = rows.kept));
      const away = proxy.place({ nth: nth + 1, times: Infinity, fault: { kind: 'reset' } });
      const running = run(store, rows, bytes, cuts);
      running.catch(() => undefined);
      await Promise.race([running.catch(() => undefined), untilPerformed(begun + nth - 1)]);
      const call = proxy.calls()[begun + nth - 1];
      await store.close();
      await running.catch(() => undefined);
      cutting.remove();
      away.remove();
      if (!call) {
        await running;
        return undefined;
      }
      rows.kept = kept;
      return call.operation;
    }

    async function untilPerformed(index: number): Promise<void> {
      await expect.poll(() => proxy.calls()[index]?.isOpen, { timeout: 60_000, interval: 5 }).toBe(false);
    }

    /** As the service does: what a request has stored is durable before it is told. */
    async function run(store: Store, rows: Rows, bytes: Buffer, cuts: number[]): Promise<void> {
      for (const end of [...cuts.filter((cut) => cut < bytes.length), bytes.length]) {
        await write(store, rows, bytes.subarray(rows.now.upload.offset, end));
        if (end === bytes.length) rows.now = { ...rows.now, upload: { ...rows.now.upload, size: bytes.length } };
        else await rows.durable();
        if (end < bytes.length) rows.told = end;
      }
      const { upload } = rows.now;
      await store.finalize(upload, store.keyFor(upload, { md5: md5(bytes), variant: 0 }));
      await rows.durable();
      rows.told = bytes.length;
    }

    async function goOn(
      store: Store,
      rows: Rows,
      bytes: Buffer,
      { told, when }: { told: number; when: string },
    ): Promise<void> {
      const found = await store.recoverUpload(rows.now.upload, digests, new AbortController().signal);
      if (found) await rows.commit(found);
      const { offset } = rows.now.upload;
      expect(offset, when).toBeGreaterThanOrEqual(told);
      if (offset < bytes.length) await write(store, rows, bytes.subarray(offset));
      const upload = { ...rows.now.upload, size: bytes.length };
      const lane = digests.open(upload.snapshot);
      expect((await lane.digests()).md5, when).toBe(md5(bytes));
      lane.close();
      const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
      await store.finalize(upload, key);
      expect(md5(await buffer(await store.readContent(key))), when).toBe(md5(bytes));
      rows.contents.add(key);
      await store.discardUpload(upload, 'keep');
      // As the job for strays does: for what a request stored of which no row tells.
      for await (const id of store.listUnfinished()) await store.discardUpload({ id, storeState: null }, 'remove');
      expect(await bucket.keys(PREFIX), when).toEqual([key.slice(PREFIX.length)]);
      await store.removeContent(key);
    }

    async function write(store: Store, rows: Rows, bytes: Buffer): Promise<void> {
      await store.writeUpload(Readable.from([bytes]), rows.now.upload, {
        digests,
        signal: new AbortController().signal,
        maxBytes: Number.MAX_SAFE_INTEGER,
        commit: (commit) => rows.commit(commit),
      });
    }
  });
});

function createRows(size: number | null): Rows {
  const upload: StoredUpload = {
    id: randomUUID(),
    size,
    offset: 0,
    snapshot: null,
    storeState: null,
    filename: null,
    filetype: null,
  };
  const rows: Rows = {
    now: { upload, parts: [] },
    kept: undefined,
    told: 0,
    parts: async () => rows.now.parts,
    contents: new Set(),
    contentKeys: async (keys) => new Set(keys.filter((key) => rows.contents.has(key))),
    durable: async () => {
      rows.kept = rows.now;
    },
    commit: async ({ offset, snapshot, storeState = null, parts: added = [] }) => {
      const { upload: before, parts } = rows.now;
      const others = parts.filter(({ number }) => !added.some((part) => part.number === number));
      rows.now = { upload: { ...before, offset, snapshot, storeState }, parts: [...others, ...added] };
    },
  };
  return rows;
}
