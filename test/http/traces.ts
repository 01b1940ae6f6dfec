/** What a service has in its catalog, as rows: for tests that look whether something was left behind. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Database } from '../../server/catalog/sqlite/database.ts';

export interface Rows {
  /** Uploads that are not finished. */
  receiving: number;
  contents: number;
  files: number;
}

/** Counts the rows of a service's catalog. */
export async function countRows(dataDir: string): Promise<Rows> {
  // The service has its catalog to itself: it is read from a copy, with the log of commits beside it.
  const copy = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  try {
    for (const name of ['catalog.db', 'catalog.db-wal']) await cp(join(dataDir, name), join(copy, name));
    const catalog = new Database(join(copy, 'catalog.db'));
    const count = (from: string): number => Number(catalog.prepare(`select count(*) from ${from}`).pluck().get());
    const found = {
      receiving: count("uploads where state = 'receiving'"),
      contents: count('contents'),
      files: count('files'),
    };
    catalog.close();
    return found;
  } finally {
    await rm(copy, { recursive: true });
  }
}
