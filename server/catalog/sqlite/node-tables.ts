/**
 * The tables of nodes and claims. Only one process at a time has the database open, and its node and claims end with it:
 * so both tables are in memory, and a start finds no other node.
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

/** Creates the tables in memory. */
export function createNodeTables(database: Database): void {
  database.exec(TABLES);
}
