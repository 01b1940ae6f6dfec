/** What a service has in its catalog, as rows: for tests that look whether something was left behind. */
import { join } from 'node:path';
import { Database } from '../../server/catalog/sqlite/database.ts';

export interface Rows {
  /** Uploads that are not finished. */
  receiving: number;
  contents: number;
  files: number;
}

/** Counts the rows of a service's catalog. */
export function countRows(dataDir: string): Rows {
  const catalog = new Database(join(dataDir, 'catalog.db'), { readonly: true });
  try {
    const count = (from: string): number => Number(catalog.prepare(`select count(*) from ${from}`).pluck().get());
    return {
      receiving: count("uploads where state = 'receiving'"),
      contents: count('contents'),
      files: count('files'),
    };
  } finally {
    catalog.close();
  }
}
