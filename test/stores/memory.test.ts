import { randomUUID } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { createMemoryDisk, type MemoryDisk } from '../../stores/memory/disk.ts';
import { createFaults, type Fault, type Faults } from '../../stores/memory/faults.ts';
import { encodeState, lastPieceOf } from '../../stores/memory/pieces.ts';
import { type MemoryStore, openMemoryStore } from '../../stores/memory/store.ts';
import { type Commit, type Store, StoreError, type StoredUpload } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeStoreContract } from './contract.ts';

const KINDS = [
  { keys: 'upload', lastIsOptional: false },
  { keys: 'upload', lastIsOptional: true },
  { keys: 'digest', lastIsOptional: true },
] as const;
for (const kind of KINDS) {
  describeStoreContract(
    `memory (keys by ${kind.keys}${kind.lastIsOptional ? ', last commit optional' : ''})`,
    async () => {
      const disk = createMemoryDisk();
      const open = (): Store => openMemoryStore({ disk, ...kind });
      return {
        store: open(),
        reopen: async () => open(),
        asOfAnEarlierBoot: (upload) => ({ ...upload, storeState: encodeState('earlier', lastPieceOf(upload)) }),
        dispose: async () => undefined,
      };
    },
  );
}

const bytes = makeBytes(60_000, 3);
const PIECE = 20_000;
const PIECES = [0, 1, 2].map((piece) => bytes.subarray(piece * PIECE, (piece + 1) * PIECE));
const signal = new AbortController().signal;
const digests = createDigestPool(['md5']);
afterAll(() => digests.close());

/** A node: its process and what its catalog knows of one upload. */
interface Node {
  store: MemoryStore;
  faults: Faults;
  upload: StoredUpload;
}

function openNode(
  disk: MemoryDisk,
  upload: StoredUpload = newUpload(),
  more: { keys?: 'upload' | 'digest'; lastIsOptional?: boolean } = {},
): Node {
  const faults = createFaults();
  return { store: openMemoryStore({ disk, faults, commitEveryBytes: 2 * PIECE, ...more }), faults, upload };
}

function newUpload(): StoredUpload {
  const row = { offset: 0, snapshot: null, storeState: null, filename: 'a.txt', filetype: null };
  return { id: randomUUID(), size: bytes.length, ...row };
}

/** Writes all that is missing, each piece once the one before is on the disk; commits go into the row. */
async function writeRest(node: Node, missing: readonly Uint8Array[] = restOf(node.upload)): Promise<void> {
  const source = new PassThrough({ highWaterMark: 1 });
  const writing = node.store.writeUpload(source, node.upload, {
    digests,
    signal,
    maxBytes: bytes.length,
    commit: (commit) => remember(node, commit),
  });
  const sending = (async () => {
    for (const piece of missing) source.write(piece);
    source.end();
  })();
  await Promise.all([writing, sending]);
}

function restOf({ offset }: StoredUpload): Buffer[] {
  return [bytes.subarray(offset)].filter(({ length }) => length > 0);
}

/** An optional commit is recorded, too, as after a publication that failed. */
async function remember(node: Node, commit: Commit): Promise<void> {
  await commit.optional?.();
  node.upload = { ...node.upload, ...commit };
}

async function recover(node: Node): Promise<void> {
  const found = await node.store.recoverUpload(node.upload, digests, signal);
  if (found) await remember(node, found);
}

async function publish({ store, upload }: Node): Promise<string> {
  const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
  await store.finalize(upload, key);
  return key;
}

async function contentOf({ store }: Node, key: string): Promise<string> {
  return md5(await buffer(await store.readContent(key)));
}

/** Whether there is no answer, after every turn in which there could have been one. */
async function staysPending(call: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  void call.then(
    () => (isSettled = true),
    () => (isSettled = true),
  );
  for (let i = 0; i < 10; i++) await turn();
  return !isSettled;
}

/** Pending for good. */
const NEVER = new Promise<never>(() => undefined);

describe('a power cut', () => {
  test('leaves what was committed, and takes what was written since', async () => {
    const disk = createMemoryDisk();
    const node = openNode(disk);
    await writeRest(node, [PIECES[0] ?? bytes]);
    const committed = node.upload;
    node.faults.order({ call: 'sync', error: 'unavailable' });
    await expect(writeRest(node, [PIECES[1] ?? bytes])).rejects.toMatchObject({ code: 'unavailable' });
    expect(node.upload).toBe(committed);
    expect(disk.names()).toHaveLength(2);
    disk.crash();
    expect(disk.names()).toHaveLength(1);
    const next = openNode(disk, committed);
    await recover(next);
    expect(next.upload).toBe(committed);
    await writeRest(next);
    expect(await contentOf(next, await publish(next))).toBe(md5(bytes));
  });

  test('may leave changes that were not synced; nothing relies on them', async () => {
    const disk = createMemoryDisk();
    const node = openNode(disk);
    node.faults.order({ call: 'sync', error: 'unavailable' });
    await expect(writeRest(node)).rejects.toMatchObject({ code: 'unavailable' });
    const [written] = disk.names();
    disk.crash((name) => name === written);
    expect(disk.names()).toEqual([written]);
    const next = openNode(disk, node.upload);
    await recover(next);
    expect(next.upload.offset).toBe(0);
  });

  test('brings back a content whose removal was not synced, and none whose removal was', async () => {
    const disk = createMemoryDisk();
    const node = openNode(disk);
    await writeRest(node);
    const key = await publish(node);
    node.faults.order({ call: 'sync', error: 'unavailable' });
    await expect(node.store.removeContent(key)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await node.store.contentSize(key)).toBeUndefined();
    disk.crash();
    const next = openNode(disk, node.upload);
    expect(await contentOf(next, key)).toBe(md5(bytes));
    await next.store.removeContent(key);
    disk.crash();
    expect(await openNode(disk).store.contentSize(key)).toBeUndefined();
  });
});

test('the next process recovers what a dead one wrote, and the dead one has no effect any more', async () => {
  const disk = createMemoryDisk();
  const node = openNode(disk);
  await writeRest(node, [PIECES[0] ?? bytes]);
  const { reached } = node.faults.order({ call: 'sync', until: NEVER });
  const writing = writeRest(node, [PIECES[1] ?? bytes]);
  await reached;
  node.store.die();
  expect(await staysPending(writing)).toBe(true);
  expect(await staysPending(node.store.probe())).toBe(true);
  expect(await staysPending(node.store.discardUpload(node.upload, 'remove'))).toBe(true);

  const next = openNode(disk, node.upload);
  await recover(next);
  expect(next.upload.offset).toBe(2 * PIECE);
  disk.crash();
  const last = openNode(disk, next.upload);
  await writeRest(last);
  expect(await contentOf(last, await publish(last))).toBe(md5(bytes));
});

test.each(['upload', 'digest'] as const)(
  'with keys by %s the last commit can be left out once an upload is final',
  async (keys) => {
    const kind = { keys, lastIsOptional: true };
    // The rest is less than what is committed on the way.
    const before = PIECE + 1;
    for (const isFinal of [false, true]) {
      const disk = createMemoryDisk();
      const node = openNode(disk, newUpload(), kind);
      await writeRest(node, [bytes.subarray(0, before)]);
      const counted = node.upload;
      const commits: Commit[] = [];
      await node.store.writeUpload(Readable.from([bytes.subarray(before)]), counted, {
        digests,
        signal,
        maxBytes: bytes.length,
        commit: async (commit) => void commits.push(commit),
      });
      const last = commits.at(-1);
      expect(last).toMatchObject({ offset: bytes.length, optional: expect.any(Function) });
      const whole = { ...node, upload: { ...counted, ...last } };
      const key = isFinal ? await publish(whole) : undefined;
      disk.crash();
      const next = openNode(disk, counted, kind);
      await recover(next);
      expect(next.upload.offset).toBe(isFinal ? bytes.length : before);
      if (!isFinal) await writeRest(next);
      const keyThen = await publish(next);
      if (isFinal) expect(keyThen).toBe(key);
      expect(await contentOf(next, keyThen)).toBe(md5(bytes));
    }
  },
);

test('a writer that lost its lease changes nothing that another has counted', async () => {
  const disk = createMemoryDisk();
  const [stale, holder] = [openNode(disk), openNode(disk)];
  await writeRest(stale, [PIECES[0] ?? bytes]);
  holder.upload = stale.upload;
  // Other bytes, from the same offset on, before and after those that count.
  await writeRest({ ...stale }, [makeBytes(2 * PIECE, 99)]);
  await writeRest(holder);
  const staleAgain = { ...stale };
  await writeRest(staleAgain, [makeBytes(2 * PIECE, 98)]);
  const key = await publish(holder);
  expect(await publish(staleAgain)).not.toBe(key);
  expect(await contentOf(holder, key)).toBe(md5(bytes));
});

test('what is left of an upload goes without its content, though its row no longer tells where that is', async () => {
  const node = openNode(createMemoryDisk());
  await writeRest(node);
  const key = await publish(node);
  await node.store.discardUpload({ id: node.upload.id, storeState: null }, 'remove');
  expect(await contentOf(node, key)).toBe(md5(bytes));
  await node.store.discardUpload(node.upload, 'remove');
  expect(await node.store.contentSize(key)).toBeUndefined();
});

describe('ordered faults', () => {
  test.each(['missing', 'full', 'unavailable', 'failed'] as const)('a call fails with %s, once', async (code) => {
    const { store, faults } = openNode(createMemoryDisk());
    const order = faults.order({ call: 'probe', error: code });
    expect(order.hasFired).toBe(false);
    await expect(store.probe()).rejects.toMatchObject({ name: StoreError.name, code });
    expect(order.hasFired).toBe(true);
    await store.probe();
  });

  test('the n-th call about a key, and no other', async () => {
    const { store, faults } = openNode(createMemoryDisk());
    const order = faults.order({ call: 'contentSize', about: 'one', nth: 2, error: new Error('the second') });
    const dropped = faults.order({ call: 'contentSize', error: 'failed' });
    dropped.cancel();
    for (const key of ['one', 'two', 'two']) expect(await store.contentSize(key)).toBeUndefined();
    await expect(store.contentSize('one')).rejects.toThrow('the second');
    expect([order.hasFired, dropped.hasFired]).toEqual([true, false]);
  });

  test('an answer is lost after the call took effect, or before it did', async () => {
    const node = openNode(createMemoryDisk());
    await writeRest(node);
    const key = node.store.keyFor(node.upload, { md5: md5(bytes), variant: 0 });
    for (const at of ['before', 'after'] as const) {
      node.faults.order({ call: 'finalize', at, error: 'unavailable' });
      await expect(node.store.finalize(node.upload, key)).rejects.toMatchObject({ code: 'unavailable' });
      expect(await node.store.contentSize(key)).toBe(at === 'before' ? undefined : bytes.length);
    }
    expect(await publish(node)).toBe(key);
  });

  test('a call waits until the test releases it', async () => {
    const { store, faults } = openNode(createMemoryDisk());
    let letGo: () => void = () => undefined;
    const { reached } = faults.order({ call: 'list', until: new Promise<void>((resolve) => (letGo = resolve)) });
    const probing = store.probe();
    await reached;
    expect(await staysPending(probing)).toBe(true);
    letGo();
    await probing;
  });

  test('a write takes a part of its bytes, which count once they were recovered', async () => {
    const node = openNode(createMemoryDisk());
    await writeRest(node, [PIECES[0] ?? bytes]);
    node.faults.order({ call: 'write', takesBytes: 777, error: 'full' });
    await expect(writeRest(node)).rejects.toMatchObject({ code: 'full' });
    expect(node.upload.offset).toBe(PIECE);
    await recover(node);
    expect(node.upload.offset).toBe(PIECE + 777);
    await writeRest(node);
    expect(await contentOf(node, await publish(node))).toBe(md5(bytes));
  });

  test('a download breaks off with an error, and a listing does', async () => {
    const node = openNode(createMemoryDisk());
    await writeRest(node);
    const key = await publish(node);
    node.faults.order({ call: 'read', about: key, nth: 2, error: 'unavailable' });
    const stream = await node.store.readContent(key);
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'unavailable' });
    node.faults.order({ call: 'listContents', error: 'unavailable' });
    await expect(all(node.store)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('bytes rot, and are gone', async () => {
    const disk = createMemoryDisk();
    const node = openNode(disk);
    await writeRest(node);
    const key = await publish(node);
    await node.store.discardUpload(node.upload, 'keep');
    const name = disk.names().find((each) => each.endsWith(key)) ?? '';
    expect(disk.damage(name, (old) => Buffer.concat([old.subarray(1), old.subarray(0, 1)]))).toBe(true);
    expect(await contentOf(node, key)).not.toBe(md5(bytes));
    disk.crash();
    expect(await contentOf(openNode(disk), key)).not.toBe(md5(bytes));
    expect(disk.damage(name, () => null)).toBe(true);
    expect(disk.damage(name, () => null)).toBe(false);
    expect(await openNode(disk).store.contentSize(key)).toBeUndefined();
  });
});

// Each step on the disk, one after the other, is the last one of an upload's life, until there are no more.
describe.each(['the process dies', 'the power fails'] as const)('%s', (what) => {
  test.each(['before', 'after'] as const)(
    '%s any step: what was told is there, and the upload ends well',
    async (at) => {
      const steps: Fault['call'][] = ['write', 'sync', 'read', 'remove', 'list'];
      for (const call of steps) {
        let [nth, isLast] = [0, false];
        while (!isLast) {
          nth++;
          const disk = createMemoryDisk();
          const node = openNode(disk);
          const order = node.faults.order({ call, nth, at, until: NEVER });
          await Promise.race([order.reached, live(node)]);
          isLast = !order.hasFired;
          if (what === 'the power fails') disk.crash();
          else node.store.die();
          const next = openNode(disk, node.upload);
          await recover(next).catch((error: unknown) => {
            // Only once its pieces were discarded, after its publication.
            expect([error, node.upload.offset]).toMatchObject([{ code: 'missing' }, bytes.length]);
          });
          expect(next.upload.offset).toBeGreaterThanOrEqual(node.upload.offset);
          if (next.upload.offset < bytes.length) await writeRest(next);
          expect(await contentOf(next, await publish(next))).toBe(md5(bytes));
        }
        expect(nth).toBeGreaterThan(1);
      }
    },
  );
});

/** All of an upload's life but the removal of its content. */
async function live(node: Node): Promise<void> {
  await writeRest(node, [PIECES[0] ?? bytes]);
  await writeRest(node);
  await publish(node);
  await node.store.discardUpload(node.upload, 'keep');
}

async function all(store: Store): Promise<string[]> {
  return (Readable.from(store.listContents()) as Readable).toArray() as Promise<string[]>;
}
