/**
 * The tables of nodes, claims and asks. Only one process at a time has the database open, and all of these end with it: so
 * the tables are in memory, and a start finds no other node.
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
CREATE TEMP TABLE IF NOT EXISTS asks (
  node      TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  upload_id TEXT NOT NULL,
  what      TEXT NOT NULL,
  epoch     INTEGER NOT NULL,
  PRIMARY KEY (node, upload_id, what)
) STRICT, WITHOUT ROWID;
`;

/** Creates the tables in memory. */
export function createNodeTables(database: Database): void {
  database.exec(TABLES);
}
