/**
 * Number and total size of each owner's files, and of those in their trash. Triggers maintain them in a table in memory, within each transaction, also
 * one that is rolled back. In the database file, each new file would write one more page.
 */
import type { Database } from './database.ts';

const TOTALS = `
DROP TABLE IF EXISTS temp.owner_totals;
CREATE TEMP TABLE owner_totals (
  owner TEXT PRIMARY KEY NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO temp.owner_totals (owner, files, bytes) SELECT owner, count(*), sum(size) FROM files GROUP BY owner;

CREATE TEMP TRIGGER IF NOT EXISTS files_added AFTER INSERT ON main.files BEGIN
  INSERT INTO owner_totals (owner, files, bytes) VALUES (new.owner, 1, new.size)
    ON CONFLICT (owner) DO UPDATE SET files = files + 1, bytes = bytes + excluded.bytes;
END;
CREATE TEMP TRIGGER IF NOT EXISTS files_removed AFTER DELETE ON main.files BEGIN
  UPDATE owner_totals SET files = files - 1, bytes = bytes - old.size WHERE owner = old.owner;
  DELETE FROM owner_totals WHERE owner = old.owner AND files = 0;
END;

DROP TABLE IF EXISTS temp.trash_totals;
CREATE TEMP TABLE trash_totals (
  owner TEXT PRIMARY KEY NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO temp.trash_totals (owner, files, bytes) SELECT owner, count(*), sum(size) FROM trash GROUP BY owner;

CREATE TEMP TRIGGER IF NOT EXISTS trash_added AFTER INSERT ON main.trash BEGIN
  INSERT INTO trash_totals (owner, files, bytes) VALUES (new.owner, 1, new.size)
    ON CONFLICT (owner) DO UPDATE SET files = files + 1, bytes = bytes + excluded.bytes;
END;
CREATE TEMP TRIGGER IF NOT EXISTS trash_removed AFTER DELETE ON main.trash BEGIN
  UPDATE trash_totals SET files = files - 1, bytes = bytes - old.size WHERE owner = old.owner;
  DELETE FROM trash_totals WHERE owner = old.owner AND files = 0;
END;
`;

/** Counts all files once, with one pass over an index, and those in the trash, and creates the triggers. */
export function keepTotals(database: Database): void {
  database.exec(TOTALS);
}
