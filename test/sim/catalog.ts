/**
 * The catalog of a simulation: SQLite in memory, with the service's own schema and queries. One database serves all
 * simulations of a process, one after the other, since none is ever given back (server/catalog/sqlite/database.ts).
 */
import { Kysely } from 'kysely';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createCatalog } from '../../server/catalog/create-catalog.ts';
import type { Tables } from '../../server/catalog/schema.ts';
import { type Clock, type ClockSource, createClock } from '../../server/catalog/sqlite/clock.ts';
import { createSqlClock } from '../../server/catalog/sqlite/sql-clock.ts';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { sqliteQueries } from '../../server/catalog/sqlite/dialect.ts';
import { createSqliteDialect } from '../../server/catalog/sqlite/driver.ts';
import { migrate } from '../../server/catalog/sqlite/migrate.ts';
import { createNodeTables } from '../../server/catalog/sqlite/node-tables.ts';
import { keepTotals } from '../../server/catalog/sqlite/owner-totals.ts';

/** What the checks look at. */
const WATCHED = ['uploads', 'contents', 'files', 'events'] as const;
export type Watched = (typeof WATCHED)[number];

export interface SimCatalog {
  /** As several nodes share it. */
  readonly shared: Catalog;
  /** As one node has it for itself. */
  readonly alone: Catalog;
  /** All rows of a question in SQL. */
  rows<Row>(sql: string): Row[];
  /** Each grows with each row of its table that is changed, and `all` with any of them. */
  readonly changes: Readonly<Record<Watched | 'all', number>>;
  /** The database is empty again. @param time - what its clock goes by. */
  reset(time: ClockSource): void;
  /** A process has opened it whose machine tells this time. It continues from what was kept. */
  continueTime(time: ClockSource, believeAfterMs: number): void;
  /** The one process that had it has ended, and what is kept in that process's memory with it. */
  forgetNodes(): void;
  /** What is in it now survives a power cut. */
  markDurable(): void;
  /** A power cut takes it back to what was durable. */
  forgetUndurable(): void;
}

const FORGET_NODES = 'DELETE FROM temp.nodes; DELETE FROM temp.claims; DELETE FROM temp.asks;';

/** Triggers count, also what is rolled back. SQLite's own `total_changes()` has the nodes' rows in it, which change all the time. */
function watchChanges(database: Database): SimCatalog['changes'] {
  const changes: Record<Watched | 'all', number> = { uploads: 0, contents: 0, files: 0, events: 0, all: 0 };
  database.function('note_change', { directOnly: false }, (table) => {
    changes[table as Watched]++;
    changes.all++;
    return null;
  });
  for (const table of WATCHED) {
    for (const change of ['INSERT', 'UPDATE', 'DELETE']) {
      database.exec(`CREATE TEMP TRIGGER watch_${table}_${change} AFTER ${change} ON main.${table}
        BEGIN SELECT note_change('${table}'); END`);
    }
  }
  return changes;
}

let opened: SimCatalog | undefined;

/** The one of this process, empty. */
export function openSimCatalog(time: ClockSource): SimCatalog {
  opened ??= open();
  opened.reset(time);
  return opened;
}

function open(): SimCatalog {
  const database = new Database(':memory:');
  database.pragma('foreign_keys = ON');
  database.pragma('temp_store = MEMORY');
  migrate(database);
  keepTotals(database);
  const db = new Kysely<Tables>({
    // Each call is a step of its own, and ends within it.
    dialect: createSqliteDialect(
      database,
      { check: () => undefined, onWrite: () => undefined },
      { defer: queueMicrotask },
    ),
  });
  /** Of the process that has it, or of the database that all share. */
  let current: Clock = createClock({});
  const clock: Clock = {
    wall: () => current.wall(),
    steady: () => current.steady(),
    earliest: () => current.earliest(),
    latest: () => current.latest(),
    keep: () => current.keep(),
  };
  createNodeTables(database);
  const [shared, alone] = [true, false].map((isShared) =>
    createCatalog(db, {
      nodes: { clock: createSqlClock(clock), isShared },
      queries: sqliteQueries,
      clock,
      keepTime: () => alone.setMeta('clock', clock.keep()),
      durable: async () => undefined,
      ping: async () => undefined,
      close: async () => undefined,
    }),
  ) as [Catalog, Catalog];
  const tables = (
    database.prepare(`SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name`).all() as {
      name: string;
    }[]
  ).map(({ name }) => name);
  database.exec(`ATTACH ':memory:' AS kept`);
  for (const name of tables) database.exec(`CREATE TABLE kept."k_${name}" AS SELECT * FROM main."${name}" WHERE false`);
  const emptyMeta = database.prepare('SELECT * FROM meta').all() as { key: string; value: string }[];

  const [wipe, bringBack] = [
    tables.map((name) => `DELETE FROM main."${name}";`),
    tables.map((name) => `INSERT INTO main."${name}" SELECT * FROM kept."k_${name}";`),
  ].map((statements) => statements.join('\n')) as [string, string];
  const copies = tables.flatMap((name) =>
    [`DELETE FROM kept."k_${name}"`, `INSERT INTO kept."k_${name}" SELECT * FROM main."${name}"`].map((statement) =>
      database.prepare(statement),
    ),
  );
  const keep = database.transaction(() => {
    for (const copy of copies) copy.run();
  });
  /** How many changes there were when the last copy was made. */
  let keptAt = -1;
  const insertMeta = database.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  const selectMeta = database.prepare('SELECT value FROM meta WHERE key = ?').pluck();
  const countChanges = database.prepare('SELECT total_changes()').pluck();
  const changes = watchChanges(database);
  const asked = new Map<string, ReturnType<Database['prepare']>>();

  function withoutChecks(statements: string): void {
    // It does nothing within a transaction.
    database.exec(`PRAGMA foreign_keys = OFF; BEGIN; ${statements} COMMIT; PRAGMA foreign_keys = ON;`);
  }

  function markDurable(): void {
    if (countChanges.get() === keptAt) return;
    keep();
    keptAt = countChanges.get() as number;
  }

  return {
    shared,
    alone,
    rows: <Row>(question: string) => {
      const statement = asked.get(question) ?? database.prepare(question);
      asked.set(question, statement);
      return statement.all() as Row[];
    },
    changes,
    reset: (time) => {
      current = createClock({ source: time });
      withoutChecks(wipe + FORGET_NODES);
      for (const { key } of emptyMeta) insertMeta.run(key, 'of a simulation');
      markDurable();
    },
    continueTime: (source, believeAfterMs) => {
      const kept = selectMeta.get('clock') as string | undefined;
      current = createClock({ source, kept, believeAfterMs });
    },
    forgetNodes: () => void database.exec(FORGET_NODES),
    markDurable,
    forgetUndurable: () => withoutChecks(wipe + bringBack),
  };
}
