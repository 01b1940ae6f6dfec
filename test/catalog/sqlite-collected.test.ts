/** Node 24.19 and newer end the process when an object of better-sqlite3 12 is collected: see decision 0010. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeTempFolder } from '../harness/temp-folder.ts';

const SCRIPT = `
  const { openSqliteCatalog } = await import(process.argv[1]);
  for (let round = 0; round < 3; round++) {
    const catalog = await openSqliteCatalog({ file: process.argv[2] });
    // Collections come on their own, in the middle of work.
    for (let look = 0; look < 2000; look++) await catalog.findUpload('none-' + look);
    await catalog.close();
  }
  process.stdout.write('well');
`;

test('a process whose catalog has been used and closed survives garbage collection', async () => {
  const module = new URL('../../server/catalog/sqlite/open.js', import.meta.url).href;
  const file = join(await makeTempFolder(), 'catalog.db');
  const args = ['--max-semi-space-size=1', '--input-type=module', '--eval', SCRIPT, module, file];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('well');
});
