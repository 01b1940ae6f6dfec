import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openLocalStore } from '../../stores/local/store.ts';
import type { StoredUpload } from '../../stores/store.ts';
import { makeBytes, md5 } from '../support/bytes.ts';
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

test('keeps the bytes of an upload until it is discarded, whatever becomes of the final ones', async () => {
  const store = await openLocalStore({ folder: await makeTempFolder() });
  const digests = createDigestPool(['md5']);
  onTestFinished(() => digests.close());
  const bytes = makeBytes(100_000, 12);
  const upload: StoredUpload = {
    id: 'an-upload',
    size: bytes.length,
    offset: 0,
    snapshot: null,
    bootId: null,
    filename: 'a.txt',
    filetype: null,
  };
  await store.createUpload(upload);
  await store.writeUpload(Readable.from([bytes]), upload, {
    digests,
    signal: new AbortController().signal,
    maxBytes: bytes.length,
    commit: async () => undefined,
  });
  for (const key of ['first.txt', 'first.txt', 'second.txt']) {
    await store.finalize(upload, key);
    expect(md5(await buffer(await store.readContent(key)))).toBe(md5(bytes));
  }
  await store.removeContent('second.txt');
  await store.finalize(upload, 'second.txt');
  await store.discardUpload(upload.id);
  expect(md5(await buffer(await store.readContent('second.txt')))).toBe(md5(bytes));
  await expect(store.finalize({ ...upload, id: 'another' }, 'third.txt')).rejects.toMatchObject({ code: 'missing' });
});

test('refuses names that are paths', async () => {
  const store = await openLocalStore({ folder: await makeTempFolder() });
  for (const name of ['../secret', 'a/b', '..', '', 'a\0b']) {
    await expect(store.readContent(name)).rejects.toMatchObject({ code: 'missing' });
  }
});
