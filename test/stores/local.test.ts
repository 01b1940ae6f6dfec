import { link, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { storeAtOnce } from '../../stores/local/at-once.ts';
import { createFile } from '../../stores/local/files.ts';
import { createFolder } from '../../stores/local/folder.ts';
import type { Commit, Store, StoredUpload } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { CAN_TRACE, injectAt } from '../system/trace.ts';
import { CAN_MOUNT, mountSmallDisk } from '../system/mounts.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { describeStoreContract } from './contract.ts';

describeStoreContract('local', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  return {
    store: await openLocalStore({ folder }),
    reopen: () => openLocalStore({ folder }),
    asOfAnEarlierBoot: (upload) => ({ ...upload, storeState: 'an earlier boot' }),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
});

test('refuses a folder that is a file', async () => {
  const path = join(await makeTempFolder(), 'file');
  await writeFile(path, '');
  await expect(openLocalStore({ folder: path })).rejects.toMatchObject({ code: 'unavailable' });
});

const bytes = makeBytes(100_000, 12);
const upload: StoredUpload = {
  id: 'an-upload',
  size: bytes.length,
  offset: 0,
  snapshot: null,
  storeState: null,
  filename: 'a.txt',
  filetype: null,
};

/** A store with all bytes of `upload`. */
async function storeWithUpload(): Promise<{ store: Store; digests: DigestPool; folder: string }> {
  const folder = await makeTempFolder();
  const store = await openLocalStore({ folder });
  const digests = createDigestPool(['md5']);
  onTestFinished(() => digests.close());
  await store.createUpload(upload);
  await store.writeUpload(Readable.from([bytes]), upload, {
    digests,
    signal: new AbortController().signal,
    maxBytes: bytes.length,
    commit: async () => undefined,
  });
  return { store, digests, folder };
}

// Skipped without the right to mount: run the tests as root on Linux.
test.skipIf(!CAN_MOUNT)('opens on a disk that is full, so that what is there can be read and removed', async () => {
  const disk = mountSmallDisk('1M');
  await writeFile(join(disk.folder, 'a-content'), 'here');
  await disk.fill();
  const store = await openLocalStore({ folder: disk.folder });
  expect(String(await buffer(await store.readContent('a-content')))).toBe('here');
  await expect(store.probe()).rejects.toMatchObject({ code: 'full' });
  await store.removeContent('a-content');
});

test('keeps the bytes of an upload until it is discarded, whatever becomes of the final ones', async () => {
  const { store } = await storeWithUpload();
  for (const key of ['first.txt', 'first.txt', 'second.txt']) {
    await store.finalize(upload, key);
    expect(md5(await buffer(await store.readContent(key)))).toBe(md5(bytes));
  }
  await store.removeContent('second.txt');
  await store.finalize(upload, 'second.txt');
  await store.discardUpload(upload, 'remove');
  expect(md5(await buffer(await store.readContent('second.txt')))).toBe(md5(bytes));
  await expect(store.finalize({ ...upload, id: 'another' }, 'third.txt')).rejects.toMatchObject({ code: 'missing' });
});

const never = new AbortController().signal;

test.each([
  ['and its length is known', { size: bytes.length }],
  ['and its length was lost, too', { size: null }],
])('what was made final is never cut, though the power failed before that was recorded %s', async (_, row) => {
  const { store, digests } = await storeWithUpload();
  const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
  await store.finalize(upload, key);
  const before = { ...upload, ...row, offset: 0, storeState: 'an earlier boot' };
  const recovered = await store.recoverUpload(before, digests, never);
  expect(recovered).toMatchObject({ offset: bytes.length, wholeSize: bytes.length });
  expect(md5(await buffer(await store.readContent(key)))).toBe(md5(bytes));
  const again = { ...before, ...recovered, size: bytes.length };
  expect(await store.recoverUpload(again, digests, never)).toBeNull();
});

test.each(['recovered', 'written to'])(
  'a copy of the folder by links does not change when an upload is %s',
  async (how) => {
    const { store, digests, folder } = await storeWithUpload();
    const copy = join(await mkdtemp(join(folder, 'copy-')), 'of-the-upload');
    await link(join(folder, `tmp_${upload.id}`), copy);
    const lane = digests.open(null);
    await lane.update([bytes.subarray(0, 60_000)]);
    const row = {
      ...upload,
      size: null,
      offset: 60_000,
      snapshot: await lane.snapshot(),
      storeState: 'an earlier boot',
    };
    lane.close();
    if (how === 'recovered') expect(await store.recoverUpload(row, digests, never)).toBeNull();
    const written = await store.writeUpload(Readable.from([Buffer.from('other bytes')]), row, {
      digests,
      signal: never,
      maxBytes: bytes.length,
      commit: async () => undefined,
    });
    expect(written.offset).toBe(60_011);
    expect(md5(await readFile(copy))).toBe(md5(bytes));
    const now = await readFile(join(folder, `tmp_${upload.id}`));
    expect(now.equals(Buffer.concat([bytes.subarray(0, 60_000), Buffer.from('other bytes')]))).toBe(true);
  },
);

test('a part of bytes that a crash has left under their name gives way to them; other bytes of that MD5 do not', async () => {
  const { store, folder } = await storeWithUpload();
  const key = `${md5(bytes)}.txt`;
  for (const part of [Buffer.alloc(0), bytes.subarray(0, 5000), Buffer.alloc(bytes.length)]) {
    await writeFile(join(folder, key), part);
    await store.finalize(upload, key);
    expect(md5(await readFile(join(folder, key)))).toBe(md5(bytes));
    await store.removeContent(key);
  }
  const other = makeBytes(500, 13);
  await writeFile(join(folder, `${md5(other)}.txt`), other);
  await expect(store.finalize(upload, `${md5(other)}.txt`)).rejects.toMatchObject({ code: 'occupied' });
});

test('a name under which nothing could be created at once is not remembered as changed', async () => {
  const folder = createFolder(await makeTempFolder());
  folder.identify();
  const key = md5(bytes);
  const elsewhere = { ...folder, path: (name: string) => join(folder.directory, 'missing', name) };
  await expect(storeAtOnce(elsewhere, key, [bytes])).rejects.toMatchObject({ code: 'missing' });
  expect(folder.entries.isUnsettled(key)).toBe(false);
});

test('before its first commit nothing of an upload is kept, and its file is made anew', async () => {
  const { store, digests, folder } = await storeWithUpload();
  const path = join(folder, `tmp_${upload.id}`);
  const { ino } = await stat(path);
  // Another file takes the number of the first while that is open.
  const opened = await open(path);
  onTestFinished(() => opened.close());
  expect(await store.recoverUpload(upload, digests, never)).toBeNull();
  const signal = never;
  await store.writeUpload(Readable.from([bytes]), upload, {
    digests,
    signal,
    maxBytes: bytes.length,
    commit: async () => undefined,
  });
  expect((await stat(path)).ino).not.toBe(ino);
  expect(md5(await readFile(path))).toBe(md5(bytes));
});

test('commits once a second has passed on the clock that was handed in', async () => {
  const surroundings = createVirtualSurroundings();
  const store = await openLocalStore({ folder: await makeTempFolder(), surroundings });
  const digests = createDigestPool(['md5']);
  onTestFinished(() => digests.close());
  const commits: Commit[] = [];
  const source = new PassThrough();
  const writing = store.writeUpload(source, upload, {
    digests,
    signal: never,
    maxBytes: bytes.length,
    commit: async (commit) => void commits.push(commit),
  });
  source.write(bytes.subarray(0, 100));
  await expect.poll(() => surroundings.pending()).toBe(1);
  await surroundings.advance(999);
  expect(commits).toEqual([]);
  await surroundings.advance(1);
  source.write(bytes.subarray(100, 200));
  await expect.poll(() => commits).toHaveLength(1);
  expect(commits[0]).toMatchObject({ storeState: surroundings.bootId });
  source.end(bytes.subarray(200));
  expect(await writing).toMatchObject({ digests: { md5: md5(bytes) } });
});

// Skipped without strace and the right to trace.
describe.skipIf(!CAN_TRACE)('a sync of the folder fails', () => {
  const all = { signal: never, maxBytes: bytes.length };

  /** While the action runs, the next sync of the folder fails. */
  async function failNextSync<T>(folder: string, action: () => Promise<T>): Promise<T> {
    const trace = await injectAt(process.pid, 'fsync', 'error=EIO:when=1', folder);
    try {
      return await action();
    } finally {
      await trace.stop();
    }
  }

  test('that was asked for by another: the first commit of an upload does not take its own for enough', async () => {
    const { store, digests, folder } = await storeWithUpload();
    const committed: number[] = [];
    const source = new PassThrough();
    let hasBegun: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    const commit = async ({ offset }: Commit): Promise<void> => void committed.push(offset);
    const other = { ...upload, id: 'another', size: null };
    const writing = store.writeUpload(source, other, { ...all, digests, commit, onReading: hasBegun });
    await begun;
    await failNextSync(folder, async () => {
      await expect(store.finalize(upload, 'key.txt')).rejects.toMatchObject({ code: 'unavailable' });
    });
    source.end(bytes);
    await expect(writing).rejects.toMatchObject({ code: 'unavailable' });
    expect(committed).toEqual([]);
  });

  test.each(['by the same process', 'after a restart'])('for the copy of a linked upload: made anew %s', async (by) => {
    const { store, digests, folder } = await storeWithUpload();
    const path = join(folder, `tmp_${upload.id}`);
    await link(path, join(await mkdtemp(join(folder, 'copy-')), 'of-the-upload'));
    const lane = digests.open(null);
    await lane.update([bytes.subarray(0, 60_000)]);
    const row = { ...upload, offset: 60_000, snapshot: await lane.snapshot() };
    lane.close();
    const write = (into: Store): Promise<unknown> =>
      into.writeUpload(Readable.from([bytes.subarray(60_000)]), row, {
        ...all,
        digests,
        commit: async () => undefined,
      });
    await failNextSync(folder, async () => {
      await expect(write(store)).rejects.toMatchObject({ code: 'unavailable' });
    });
    // Another file takes the number of the first once that is gone.
    const opened = await open(path);
    onTestFinished(() => opened.close());
    await write(by === 'after a restart' ? await openLocalStore({ folder }) : store);
    expect((await stat(path)).ino).not.toBe((await opened.stat()).ino);
    expect(md5(await readFile(path))).toBe(md5(bytes));
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('for bytes that were removed, and they are there no more: they are removed once more', async () => {
    const { store, folder } = await storeWithUpload();
    await store.finalize(upload, 'key.txt');
    await failNextSync(folder, async () => {
      await expect(store.removeContent('key.txt')).rejects.toMatchObject({ code: 'unavailable' });
    });
    const before = (await stat(folder)).mtimeMs;
    await store.removeContent('key.txt', true);
    expect((await stat(folder)).mtimeMs).toBeGreaterThan(before);
  });
});

test('what a killed start left goes with the next one; what is not its own stays', async () => {
  const folder = await makeTempFolder();
  const others = ['.probe', '.hidden', 'probe-1', `${md5(bytes)}.txt`];
  for (const name of ['.probe-71', '.links-71', '.links-71-other', '.copy-an-upload', ...others]) {
    await writeFile(join(folder, name), 'left');
  }
  await openLocalStore({ folder });
  expect((await readdir(folder)).toSorted()).toEqual(others.toSorted());
});

test('a file is closed only when what was begun with it has ended', async () => {
  const file = await createFile(join(await makeTempFolder(), 'file'));
  let written = false;
  const writing = file.write([makeBytes(20_000_000, 13)], 0).then(() => (written = true));
  await file.close();
  expect(written).toBe(true);
  await writing;
});

test('refuses names that are paths', async () => {
  const store = await openLocalStore({ folder: await makeTempFolder() });
  for (const name of ['../secret', 'a/b', '..', '', 'a\0b']) {
    await expect(store.readContent(name)).rejects.toMatchObject({ code: 'missing' });
  }
});
