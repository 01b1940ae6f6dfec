/**
 * Nodes and what they claim. One process at a time has the database open, so that both end with it: they are kept in
 * memory, and a start finds no other node alive.
 */
import type { Database } from './database.ts';

const TABLES = `
CREATE TEMP TABLE IF NOT EXISTS nodes (
  id         TEXT PRIMARY KEY NOT NULL,
  name       TEXT NOT NULL,
  version    TEXT NOT NULL,
  process    TEXT,
  is_alone   INTEGER NOT NULL,
  started_at REAL NOT NULL,
  seen_at    REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS claims (
  name  TEXT PRIMARY KEY NOT NULL,
  node  TEXT NOT NULL,
  until REAL NOT NULL
) STRICT, WITHOUT ROWID;
`;

export function createNodeTables(database: Database): void {
  database.exec(TABLES);
}
