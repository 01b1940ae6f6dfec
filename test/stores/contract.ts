/** What every store must do; called once per store. */
import { randomUUID } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import {
  type Commit,
  type Ledger,
  type Store,
  StoreError,
  type StoredPart,
  type StoredUpload,
  type WriteOptions,
} from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { testAtomicWrites } from './atomic-suite.ts';
import { testFlush } from './flush-suite.ts';
import { testJoining } from './join-suite.ts';

/** A store as a test uses it. */
export interface StoreUnderTest {
  store: Store;
  /** Where the store reads the rows of parts; the suite puts them there. */
  ledger?: TestLedger;
  /** Another handle on the same bytes, as after the death of the process. */
  reopen(): Promise<Store>;
  /** The row that it would have had, had the machine been started anew since its commit; the same where left out. */
  asOfAnEarlierBoot?(upload: StoredUpload): StoredUpload;
  dispose(): Promise<void>;
}

const MIB = 1024 * 1024;

/** All that can be asked of a store. */
const CONTRACT: Readonly<Record<keyof Store, true>> = {
  name: true,
  capabilities: true,
  place: true,
  createUpload: true,
  writeUpload: true,
  joinUploads: true,
  recoverUpload: true,
  readUpload: true,
  discardUpload: true,
  listUnfinished: true,
  keyFor: true,
  finalize: true,
  storeAtOnce: true,
  heal: true,
  assure: true,
  readContent: true,
  addressOf: true,
  contentSize: true,
  listContents: true,
  removeContent: true,
  probe: true,
  close: true,
};

/** What can be asked of an object by its class, and by those that it extends. */
function methodsOf(value: object): string[] {
  const names = new Set<string>();
  let type = Object.getPrototypeOf(value) as object;
  while (type !== Object.prototype) {
    for (const name of Object.getOwnPropertyNames(type)) if (name !== 'constructor') names.add(name);
    type = Object.getPrototypeOf(type) as object;
  }
  return [...names].toSorted();
}

/** The rows of parts, as the catalog would have them. */
export interface TestLedger extends Ledger {
  /** Keys that contents have. */
  readonly contents: Set<string>;
  record(uploadId: string, part: StoredPart): void;
}

export function createTestLedger(): TestLedger {
  const rows = new Map<string, Map<number, StoredPart>>();
  const contents = new Set<string>();
  return {
    contents,
    contentKeys: async (keys) => new Set(keys.filter((key) => contents.has(key))),
    record: (uploadId, part) => {
      rows.set(uploadId, (rows.get(uploadId) ?? new Map<number, StoredPart>()).set(part.number, part));
    },
    durable: async () => undefined,
    parts: async (uploadId) => [...(rows.get(uploadId)?.values() ?? [])].toSorted((a, b) => a.number - b.number),
  };
}

export function describeStoreContract(name: string, openStore: () => Promise<StoreUnderTest>): void {
  describe(`the ${name} store`, () => {
    let under: StoreUnderTest;
    let store: Store;
    let digests: DigestPool;

    beforeAll(async () => {
      under = await openStore();
      store = under.store;
      digests = createDigestPool(['md5']);
    });
    afterAll(async () => {
      await digests.close();
      await under.dispose();
    });

    function newUpload(size: number | null, filename = 'data.bin'): StoredUpload {
      return {
        id: randomUUID(),
        size,
        offset: 0,
        snapshot: null,
        storeState: null,
        filename,
        filetype: null,
      };
    }

    /** Writes and returns the upload as the catalog would have it after the last commit. */
    async function write(
      upload: StoredUpload,
      source: Readable,
      options: Partial<WriteOptions> = {},
    ): Promise<{ upload: StoredUpload; commits: Commit[]; written: Awaited<ReturnType<Store['writeUpload']>> }> {
      const commits: Commit[] = [];
      const written = await store.writeUpload(source, upload, {
        digests,
        signal: new AbortController().signal,
        maxBytes: Number.MAX_SAFE_INTEGER,
        ...options,
        commit: async (commit) => {
          await options.commit?.(commit);
          commits.push(commit);
          for (const part of commit.parts ?? []) under.ledger?.record(upload.id, part);
        },
      });
      return { upload: { ...upload, ...commits.at(-1) }, commits, written };
    }

    async function all(listing: AsyncIterable<string>): Promise<string[]> {
      const found: string[] = [];
      for await (const item of listing) found.push(item);
      return found;
    }

    async function publish(bytes: Buffer, filename?: string): Promise<string> {
      const upload = newUpload(bytes.length, filename);
      await store.createUpload(upload);
      const done = await write(upload, Readable.from([bytes]));
      const key = store.keyFor(done.upload, { md5: md5(bytes), variant: 0 });
      await store.finalize(done.upload, key);
      return key;
    }

    test('can do what the contract says, and inherits nothing beside it', () => {
      for (const member of Object.keys(CONTRACT)) expect(store).toHaveProperty(member);
      expect(methodsOf(store).filter((method) => !(method in CONTRACT))).toEqual([]);
    });

    test('has a place, which takes the mark of a catalog and another one; no mark is bytes', async () => {
      const { place } = store;
      if (place === null) return;
      expect(await place.readMark()).toBeUndefined();
      expect(await place.hasBytes()).toBe(false);
      for (const id of ['0123456789abcdef0123456789abcdef', 'fedcba9876543210fedcba9876543210']) {
        await place.writeMark(id, await place.readMark());
        expect(await place.readMark()).toBe(id);
      }
      expect(await place.hasBytes()).toBe(false);
      expect(await all(store.listUnfinished())).toEqual([]);
      expect(await all(store.listContents())).toEqual([]);
      const upload = newUpload(2000);
      await store.createUpload(upload);
      const begun = await write(upload, Readable.from([makeBytes(1000, 4)]));
      expect(await place.hasBytes()).toBe(true);
      await store.discardUpload(begun.upload, 'remove');
      expect(await place.hasBytes()).toBe(false);
      await publish(makeBytes(1000, 4));
      expect(await place.hasBytes()).toBe(true);
    });

    test('takes bytes in pieces and publishes them whole', async () => {
      const bytes = makeBytes(3 * MIB + 17, 5);
      let upload = newUpload(bytes.length, 'Großes Bild.PNG');
      await store.createUpload(upload);
      const cut = 1 * MIB + 5;
      const first = await write(upload, Readable.from([bytes.subarray(0, cut)]));
      expect(first.written).toMatchObject({ offset: cut, digests: null });
      expect(first.upload.offset).toBe(cut);

      upload = first.upload;
      const second = await write(upload, Readable.from([bytes.subarray(cut)]));
      expect(second.written.offset).toBe(bytes.length);
      expect(second.written.digests).toEqual({ md5: md5(bytes) });

      const key = store.keyFor(second.upload, { md5: md5(bytes), variant: 0 });
      await store.finalize(second.upload, key);
      await store.finalize(second.upload, key);
      expect(await store.contentSize(key)).toBe(bytes.length);
      expect(md5(await buffer(await store.readContent(key)))).toBe(md5(bytes));
      const part = await buffer(await store.readContent(key, { start: cut - 3, end: cut + 3 }));
      expect(part.equals(bytes.subarray(cut - 3, cut + 4))).toBe(true);
      await store.removeContent(key);
    });

    testJoining({
      store: () => store,
      newUpload,
      write,
      join: async (upload, partials, options = {}) => {
        const commits: Commit[] = [];
        const written = await store.joinUploads(upload, partials, {
          digests,
          signal: new AbortController().signal,
          ...options,
          commit: async (commit) => {
            await options.commit?.(commit);
            commits.push(commit);
            for (const part of commit.parts ?? []) under.ledger?.record(upload.id, part);
          },
        });
        return { upload: { ...upload, ...commits.at(-1) }, commits, written };
      },
      recovered: async (upload) => {
        const reopened = await under.reopen();
        const commit = await reopened.recoverUpload(upload, digests, new AbortController().signal);
        return { ...upload, ...commit };
      },
    });

    test('stores an empty file', async () => {
      const upload = newUpload(0);
      await store.createUpload(upload);
      const done = await write(upload, Readable.from([]));
      expect(done.written.digests?.md5).toBe('d41d8cd98f00b204e9800998ecf8427e');
      const key = store.keyFor(done.upload, { md5: 'd41d8cd98f00b204e9800998ecf8427e', variant: 0 });
      await store.finalize(done.upload, key);
      expect(await store.contentSize(key)).toBe(0);
      expect(await buffer(await store.readContent(key))).toHaveLength(0);
      await store.removeContent(key);
    });

    test('takes a length that is declared at the end', async () => {
      // Every store does; one that does not needs a test of how it refuses.
      expect(store.capabilities.deferLength).toBe(true);
      const bytes = makeBytes(100_000, 3);
      const upload = newUpload(null);
      await store.createUpload(upload);
      const sent = await write(upload, Readable.from([bytes]));
      expect(sent.written).toMatchObject({ offset: bytes.length, digests: null });
      const ended = await write({ ...sent.upload, size: bytes.length }, Readable.from([]));
      expect(ended.written.digests).toEqual({ md5: md5(bytes) });
      await store.discardUpload(upload, 'remove');
    });

    test('keeps what arrived when the source breaks, and resumes from there', async () => {
      const bytes = makeBytes(2 * MIB, 9);
      const upload = newUpload(bytes.length);
      await store.createUpload(upload);
      const source = new PassThrough();
      source.write(bytes.subarray(0, 700_000));
      const writing = write(upload, source);
      setImmediate(() => source.destroy(new Error('line cut')));
      const broken = await writing;
      expect(broken.written.interrupted).toMatchObject({ message: 'line cut' });
      expect(broken.upload.offset).toBe(broken.written.offset);

      const rest = await write(broken.upload, Readable.from([bytes.subarray(broken.upload.offset)]));
      expect(rest.written.digests).toEqual({ md5: md5(bytes) });
      await store.discardUpload(upload, 'remove');
    });

    test('stops when its signal is aborted, commits what arrived, and does not destroy the source', async () => {
      const bytes = makeBytes(300_000, 2);
      const upload = newUpload(1_000_000);
      await store.createUpload(upload);
      const source = new PassThrough();
      const stop = new AbortController();
      const writing = write(upload, source, { signal: stop.signal });
      if (!source.write(bytes)) await new Promise((resolve) => source.once('drain', resolve));
      stop.abort(new Error('enough'));
      const stopped = await writing;
      expect(stopped.written.interrupted).toMatchObject({ message: 'enough' });
      expect(stopped.upload.offset).toBe(bytes.length);
      expect(source.destroyed).toBe(false);
      await store.discardUpload(upload, 'remove');
    });

    test('takes no more bytes than it may', async () => {
      const upload = newUpload(10);
      await store.createUpload(upload);
      const commits: Commit[] = [];
      const writing = write(upload, Readable.from([Buffer.from('12345'), Buffer.from('678901')]), {
        maxBytes: 10,
        commit: async (commit) => {
          commits.push(commit);
        },
      });
      await expect(writing).rejects.toMatchObject({ code: 'overflow' });
      expect(commits.at(-1)?.offset).toBe(5);
      await store.discardUpload(upload, 'remove');
    });

    test('ends a write whose commit is refused, with the reason', async () => {
      const upload = newUpload(10);
      await store.createUpload(upload);
      const refused = new Error('the lease is lost');
      const writing = write(upload, Readable.from([Buffer.from('12345')]), {
        commit: () => Promise.reject(refused),
      });
      await expect(writing).rejects.toBe(refused);
      await store.discardUpload(upload, 'remove');
    });

    testFlush(() => ({ store, newUpload, write }));
    testAtomicWrites(() => ({ store, digests, reopen: () => under.reopen(), newUpload, write }));

    test('refuses to make bytes final over others', async () => {
      const key = await publish(Buffer.from('the first'), 'a.txt');
      const other = newUpload(10, 'a.txt');
      await store.createUpload(other);
      const done = await write(other, Readable.from([Buffer.from('the second')]));
      await expect(store.finalize(done.upload, key)).rejects.toMatchObject({ code: 'occupied' });
      expect((await buffer(await store.readContent(key))).toString()).toBe('the first');
      await store.discardUpload(other, 'remove');
      await store.removeContent(key);
    });

    test('stores the bytes of an upload under their key at once, and over no others', async () => {
      const bytes = makeBytes(10_000, 31);
      const upload = newUpload(bytes.length);
      const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
      const storing = store.storeAtOnce(upload, key, [bytes.subarray(0, 10), bytes.subarray(10)]);
      if (!store.capabilities.atOnce) {
        await expect(storing).rejects.toMatchObject({ code: 'failed' });
        return;
      }
      await storing;
      expect((await buffer(await store.readContent(key, undefined, undefined, bytes.length))).equals(bytes)).toBe(true);
      await expect(store.storeAtOnce(newUpload(3), key, [Buffer.from('abc')])).rejects.toMatchObject({
        code: 'occupied',
      });
      expect(await store.contentSize(key)).toBe(bytes.length);
      if (store.capabilities.listUnfinished) expect(await all(store.listUnfinished())).not.toContain(upload.id);
      await store.removeContent(key);
    });

    test('heals content: old bytes or new ones, at every moment, and open streams keep the old', async () => {
      const [old, bytes] = [makeBytes(2 * MIB, 21), makeBytes(2 * MIB, 22)];
      const key = await publish(old, 'a.txt');
      const upload = newUpload(bytes.length, 'b.bin');
      await store.createUpload(upload);
      const done = await write(upload, Readable.from([bytes]));
      const stream = await store.readContent(key);
      const healed = await store.heal(done.upload, key);
      expect([key, store.keyFor(done.upload, { md5: md5(bytes), variant: 0 })]).toContain(healed);
      expect(md5(await buffer(stream))).toBe(md5(old));
      // Once more, as after a death before it was recorded.
      expect(await (await under.reopen()).heal(done.upload, key)).toBe(healed);
      expect(md5(await buffer(await store.readContent(healed)))).toBe(md5(bytes));
      await store.discardUpload(done.upload, 'keep');
      expect(md5(await buffer(await store.readContent(healed)))).toBe(md5(bytes));
      const left = (await all(store.listUnfinished())).filter((id) => id.startsWith(upload.id));
      expect(left).toEqual([]);
      await store.removeContent(key);
      await store.removeContent(healed);
      await expect(store.heal({ ...newUpload(5), offset: 5 }, key)).rejects.toMatchObject({ code: 'missing' });
    });

    test('makes sure of equal bytes that nobody changed, at the latest once it was told that they were right', async () => {
      const bytes = makeBytes(2 * MIB, 23);
      const key = await publish(bytes, 'a.txt');
      const upload = newUpload(bytes.length, 'b.bin');
      await store.createUpload(upload);
      const { upload: equal } = await write(upload, Readable.from([bytes]));
      const about = { key, md5: md5(bytes), size: bytes.length };
      const stream = await store.readContent(key);
      const first = await store.assure(equal, { ...about, seal: null });
      expect(first.isSound || first.seal !== null).toBe(true);
      expect(await (await under.reopen()).assure(equal, { ...about, seal: first.seal })).toMatchObject({
        isSound: true,
      });
      expect(md5(await buffer(stream))).toBe(md5(bytes));
      expect(md5(await buffer(await store.readContent(key)))).toBe(md5(bytes));
      await store.discardUpload(equal, 'remove');
      expect(md5(await buffer(await store.readContent(key)))).toBe(md5(bytes));
      expect((await all(store.listUnfinished())).filter((id) => id.startsWith(upload.id))).toEqual([]);
      // Other sizes, and what is gone.
      expect((await store.assure(equal, { ...about, size: 5, seal: first.seal })).isSound).toBe(false);
      await store.removeContent(key);
      expect((await store.assure(equal, { ...about, seal: first.seal })).isSound).toBe(false);
      expect(await store.contentSize(key)).toBeUndefined();
    });

    test('opens no bytes of another size than the caller knows', async () => {
      const key = await publish(Buffer.from('nine byte'));
      expect(String(await buffer(await store.readContent(key, undefined, undefined, 9)))).toBe('nine byte');
      const last = { start: 8, end: 8 };
      expect(String(await buffer(await store.readContent(key, last, undefined, 9)))).toBe('e');
      for (const [size, range] of [[8], [10], [10, last], [12, { start: 9, end: 11 }], [12, { start: 7, end: 11 }]] as [
        number,
        typeof last?,
      ][]) {
        await expect(store.readContent(key, range, undefined, size)).rejects.toMatchObject({ code: 'missing' });
      }
      await store.removeContent(key);
    });

    test('recovers, after the death of the process, what was stored since the last commit', async () => {
      const bytes = makeBytes(5 * MIB, 4);
      const upload = newUpload(bytes.length);
      await store.createUpload(upload);
      const first = await write(upload, Readable.from([bytes.subarray(0, MIB)]));
      await write(first.upload, Readable.from([bytes.subarray(MIB, 3 * MIB)]));

      const reopened = await under.reopen();
      const found = await reopened.recoverUpload(first.upload, digests, new AbortController().signal);
      expect(found?.offset ?? MIB).toBeGreaterThanOrEqual(MIB);
      const recovered: StoredUpload = { ...first.upload, ...found };
      const rest = await write(recovered, Readable.from([bytes.subarray(recovered.offset)]));
      expect(rest.written.digests).toEqual({ md5: md5(bytes) });
      await store.discardUpload(upload, 'remove');
    });

    test('trusts nothing but commits after another boot of the machine', async () => {
      const bytes = makeBytes(2 * MIB, 6);
      const upload = newUpload(bytes.length);
      await store.createUpload(upload);
      const first = await write(upload, Readable.from([bytes.subarray(0, MIB)]));
      await write(first.upload, Readable.from([bytes.subarray(MIB, 1_500_000)]));

      const before = under.asOfAnEarlierBoot?.(first.upload) ?? first.upload;
      const found = await store.recoverUpload(before, digests, new AbortController().signal);
      expect(found?.offset ?? MIB).toBe(MIB);
      const rest = await write(before, Readable.from([bytes.subarray(MIB)]));
      expect(rest.written.digests).toEqual({ md5: md5(bytes) });
      await store.discardUpload(upload, 'remove');
    });

    test('says so when committed bytes are gone', async () => {
      const upload: StoredUpload = { ...newUpload(100), offset: 50 };
      await expect(store.recoverUpload(upload, digests, new AbortController().signal)).rejects.toMatchObject({
        code: 'missing',
      });
      // Of one part, and of two, where there are parts.
      for (const size of [1000, 9 * MIB]) {
        const whole = await write(newUpload(size), Readable.from([makeBytes(size, 13)]));
        const key = store.keyFor(whole.upload, { md5: md5(makeBytes(size, 13)), variant: 0 });
        await store.discardUpload(whole.upload, 'remove');
        await expect((await under.reopen()).finalize(whole.upload, key)).rejects.toMatchObject({ code: 'missing' });
      }
      await expect(store.readContent('not-there')).rejects.toBeInstanceOf(StoreError);
      expect(await store.contentSize('not-there')).toBeUndefined();
    });

    test('delivers an open stream to its end although the content is removed', async () => {
      const bytes = makeBytes(4 * MIB, 8);
      const key = await publish(bytes);
      const stream = await store.readContent(key);
      if (store.capabilities.listContents) expect(await all(store.listContents())).toContain(key);
      await store.removeContent(key);
      await store.removeContent(key);
      if (store.capabilities.listContents) expect(await all(store.listContents())).not.toContain(key);
      expect(md5(await buffer(stream))).toBe(md5(bytes));
      expect(await store.contentSize(key)).toBeUndefined();
    });

    test('gives out addresses at which bytes can be fetched for a while under a name, or refuses to', async () => {
      const bytes = makeBytes(1000, 10);
      const key = await publish(bytes);
      const disposition = `attachment; filename="a b.txt"; filename*=UTF-8''a%20b.txt`;
      const asked = store.addressOf(key, { type: 'text/x-test', disposition, lifeMs: 60_000 });
      if (!store.capabilities.address) {
        await expect(asked).rejects.toMatchObject({ code: 'failed' });
        await store.removeContent(key);
        return;
      }
      const address = await asked;
      const answer = await fetch(address);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('text/x-test');
      expect(answer.headers.get('content-disposition')).toBe(disposition);
      expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
      await store.removeContent(key);
      expect((await fetch(address)).status).toBe(404);
    });

    test('lists and discards unfinished bytes', async () => {
      const upload = newUpload(10);
      await store.createUpload(upload);
      await write(upload, Readable.from([Buffer.from('12345')]));
      if (store.capabilities.listUnfinished) {
        expect(await all(store.listUnfinished())).toContain(upload.id);
      }
      await store.discardUpload(upload, 'remove');
      await store.discardUpload(upload, 'remove');
      if (store.capabilities.listUnfinished) {
        expect(await all(store.listUnfinished())).not.toContain(upload.id);
      }
    });

    test('answers that it can take bytes', async () => {
      await store.probe();
    });
  });
}
