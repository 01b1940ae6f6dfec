/** What is copied of a catalog is all that its tables have. */
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { COPIED, COPIED_TABLES } from '../../server/catalog/rows.ts';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

/** Tables that are not copied, and why. */
const NOT_COPIED: Record<string, string> = {
  meta: 'by keys: OWN_META stays behind',
  nodes: 'of processes',
  claims: 'of processes',
  asks: 'of processes',
  sqlite_sequence: 'as counters',
  event_numbers: 'as a counter',
  owner_shares: 'counted anew',
  trash_shares: 'counted anew',
  tidemark_schema: 'of the database',
};
/** Columns that are not copied, and why. */
const NOT_COPIED_COLUMNS: Record<string, string> = {
  'uploads.boot_id': 'unused since migration 9',
  'removals.node': 'of a process',
  'removals.until': 'of a process',
  'removals.id': 'given anew, in an order that does not matter',
  'folders.files': 'counted anew',
  'folders.bytes': 'counted anew',
  'events.id': 'the order of insertion, which is that of the numbers',
};

const COLUMNS = COPIED_TABLES.flatMap((table) => COPIED[table].columns.map((column) => `${table}.${column}`));

function expectCopied(found: { table: string; column: string }[]): void {
  const wanted = found
    .filter(({ table }) => !(table in NOT_COPIED))
    .map(({ table, column }) => `${table}.${column}`)
    .filter((name) => !(name in NOT_COPIED_COLUMNS));
  expect(wanted.sort()).toEqual([...COLUMNS].sort());
}

describe('the columns that a move copies are those of', () => {
  test('SQLite', async () => {
    const file = join(await makeTempFolder(), 'catalog.db');
    await (await openSqliteCatalog({ file })).close();
    const database = new Database(file);
    onTestFinished(() => void database.close());
    const found = database
      .prepare(
        `SELECT m.name AS "table", c.name AS "column" FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'`,
      )
      .all();
    expectCopied(found as { table: string; column: string }[]);
  });

  test.skipIf(!hasPostgres())('PostgreSQL', async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    await (await openPostgresCatalog({ url: database.url })).close();
    expectCopied(
      await database.run(`select c.table_name as "table", c.column_name as "column"
        from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
        where table_schema = current_schema() and table_type = 'BASE TABLE'`),
    );
  });
});
