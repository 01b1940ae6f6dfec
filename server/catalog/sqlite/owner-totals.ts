/**
 * Number and total size of each owner's files, and of those in their trash. Triggers maintain them in a table in memory, within each transaction, also
 * one that is rolled back. In the database file, each new file would write one more page.
 */
import type { Database } from './database.ts';

/** The statements that count the rows of a table with owners and sizes. */
function totalsOf(table: 'files' | 'trash', totals: string): string {
  return `
DROP TABLE IF EXISTS temp.${totals};
CREATE TEMP TABLE ${totals} (
  owner TEXT PRIMARY KEY NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO temp.${totals} (owner, files, bytes) SELECT owner, count(*), sum(size) FROM ${table} GROUP BY owner;

CREATE TEMP TRIGGER IF NOT EXISTS ${table}_added AFTER INSERT ON main.${table} BEGIN
  INSERT INTO ${totals} (owner, files, bytes) VALUES (new.owner, 1, new.size)
    ON CONFLICT (owner) DO UPDATE SET files = files + 1, bytes = bytes + excluded.bytes;
END;
CREATE TEMP TRIGGER IF NOT EXISTS ${table}_removed AFTER DELETE ON main.${table} BEGIN
  UPDATE ${totals} SET files = files - 1, bytes = bytes - old.size WHERE owner = old.owner;
  DELETE FROM ${totals} WHERE owner = old.owner AND files = 0;
END;
`;
}

/** Counts all files once, with one pass over an index, and those in the trash, and creates the triggers. */
export function keepTotals(database: Database): void {
  database.exec(totalsOf('files', 'owner_totals') + totalsOf('trash', 'trash_totals'));
}
