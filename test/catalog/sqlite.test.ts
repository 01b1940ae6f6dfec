import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { describeCatalogContract } from './contract.ts';

describeCatalogContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
  const file = join(folder, 'catalog.sqlite');
  let catalog = await openSqliteCatalog({ file });
  return {
    catalog,
    async reopen() {
      await catalog.close();
      catalog = await openSqliteCatalog({ file });
      return catalog;
    },
    async dispose() {
      await catalog.close();
      await rm(folder, { recursive: true });
    },
  };
});
