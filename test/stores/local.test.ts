import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLocalStore } from '../../stores/local/store.ts';
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

test('refuses names that are paths', async () => {
  const store = await openLocalStore({ folder: await makeTempFolder() });
  for (const name of ['../secret', 'a/b', '..', '', 'a\0b']) {
    await expect(store.readContent(name)).rejects.toMatchObject({ code: 'missing' });
  }
});
