/**
 * How many files each owner has, and how large they are together. Kept in memory by triggers, and so in step with
 * every transaction, also one that is undone. In the database itself each new file would write one page more.
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
`;

/** Counts once, by one pass over an index, and keeps count for as long as the database is open. */
export function keepTotals(database: Database): void {
  database.exec(TOTALS);
}
