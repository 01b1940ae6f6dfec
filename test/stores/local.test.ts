import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createFile } from '../../stores/local/files.ts';
import type { Store, StoredUpload } from '../../stores/store.ts';
import { makeBytes, md5 } from '../support/bytes.ts';
import { CAN_MOUNT, mountSmallDisk } from '../system/mounts.ts';
import { makeTempFolder } from '../support/temp-folder.ts';
import { describeStoreContract } from './contract.ts';

describeStoreContract('local', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  return {
    store: await openLocalStore({ folder }),
    reopen: () => openLocalStore({ folder }),
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
  bootId: null,
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

test('what was made final is never cut, though the power failed before that was recorded', async () => {
  const { store, digests } = await storeWithUpload();
  await store.finalize(upload, 'final.txt');
  const before = { ...upload, bootId: 'an earlier boot' };
  const recovered = await store.recoverUpload(before, digests, new AbortController().signal);
  expect(recovered).toMatchObject({ offset: bytes.length });
  expect(md5(await buffer(await store.readContent('final.txt')))).toBe(md5(bytes));
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
