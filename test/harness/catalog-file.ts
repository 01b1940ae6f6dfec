/** The SQLite catalog of a service that is stopped: what a version before would have left, and what no route tells. */
import { join } from 'node:path';
import Database from 'better-sqlite3';

/** Runs a statement. @returns its rows. */
export function inCatalog(dataDir: string, statement: string): Record<string, unknown>[] {
  const database = new Database(join(dataDir, 'catalog.db'), { fileMustExist: true });
  try {
    const prepared = database.prepare<[], Record<string, unknown>>(statement);
    if (prepared.reader) return prepared.all();
    prepared.run();
    return [];
  } finally {
    database.close();
  }
}
