import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { describeCatalogContract } from './contract.ts';
import { T0, timeBy } from './fixtures.ts';

describeCatalogContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-catalog-'));
  const file = join(folder, 'catalog.sqlite');
  const clock = { nowMs: T0 };
  const time = timeBy(() => clock.nowMs);
  let catalog = await openSqliteCatalog({ file, time });
  const others: Catalog[] = [];
  return {
    catalog,
    clock,
    async reopen() {
      await catalog.close();
      catalog = await openSqliteCatalog({ file, time });
      return catalog;
    },
    async openShared() {
      const shared = await openSqliteCatalog({ file: join(folder, `shared-${others.length}`), isShared: true, time });
      others.push(shared);
      return { catalog: shared, clock };
    },
    async dispose() {
      for (const each of [catalog, ...others]) await each.close();
      await rm(folder, { recursive: true });
    },
  };
});
