/** Node 24.19 and newer end the process when an object of better-sqlite3 12 is collected: see decision 0010. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeTempFolder } from '../support/temp-folder.ts';

const SCRIPT = `
  const { openSqliteCatalog } = await import(process.argv[1]);
  const now = Date.now();
  const file = { size: 1, md5: null, sha1: null, sha256: null, filename: 'a', filetype: null, metadata: '' };
  for (let round = 0; round < 3; round++) {
    const catalog = await openSqliteCatalog({ file: process.argv[2] });
    await catalog.createUpload({ ...file, id: 'u' + round, owner: 'a', createdAt: now, expiresAt: now });
    await catalog.listFiles({ owner: 'a', limit: 1, sort: 'name', descending: false });
    await catalog.filterReceiving(['u0', 'u1'].slice(0, round));
    // As work does, in the middle of it: from a callback of the event loop, with nothing of ours on the stack.
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await gc({ execution: 'async' });
    await catalog.close();
  }
  gc();
  await gc({ execution: 'async' });
  process.stdout.write('well');
`;

test('a process whose catalog has been used and closed goes on through collections of garbage', async () => {
  const module = new URL('../../server/catalog/sqlite/open.js', import.meta.url).href;
  const file = join(await makeTempFolder(), 'catalog.db');
  const args = ['--expose-gc', '--input-type=module', '--eval', SCRIPT, module, file];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('well');
});
