import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { describeCatalogContract } from './contract.ts';

describeCatalogContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
  const file = join(folder, 'catalog.sqlite');
  let catalog = await openSqliteCatalog({ file });
  const others: Catalog[] = [];
  return {
    catalog,
    async reopen() {
      await catalog.close();
      catalog = await openSqliteCatalog({ file });
      return catalog;
    },
    async openShared() {
      const clock = { nowMs: 0 };
      const now = (): number => clock.nowMs;
      const shared = await openSqliteCatalog({ file: join(folder, `shared-${others.length}`), isShared: true, now });
      others.push(shared);
      return { catalog: shared, clock };
    },
    async dispose() {
      for (const each of [catalog, ...others]) await each.close();
      await rm(folder, { recursive: true });
    },
  };
});
