/** Catalogs in SQLite that are new. */
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog, type SqliteCatalogOptions } from '../../server/catalog/sqlite/open.ts';
import { makeReserve } from './reserve.ts';

/** Opens a new catalog, whose reserve is a hole. */
export async function openNewCatalog(options: SqliteCatalogOptions): Promise<Catalog> {
  await makeReserve(options.file);
  return openSqliteCatalog(options);
}
