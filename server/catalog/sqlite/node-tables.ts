/**
 * Nodes and what they claim. One process at a time has the database open, so that both end with it: they are kept in
 * memory, and a start finds no other node alive.
 */
import type { Database } from './database.ts';

const TABLES = `
CREATE TEMP TABLE IF NOT EXISTS nodes (
  id      TEXT PRIMARY KEY NOT NULL,
  seen_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS claims (
  name  TEXT PRIMARY KEY NOT NULL,
  node  TEXT NOT NULL,
  until REAL NOT NULL
) STRICT, WITHOUT ROWID;
`;

/** @param now - milliseconds by a clock that never goes back: the catalog's, by which nodes are dead and claims end. */
export function createNodeTables(database: Database, now: () => number): void {
  database.pragma('temp_store = MEMORY');
  database.exec(TABLES);
  database.function('catalog_now', { directOnly: true, deterministic: false }, () => now());
}
