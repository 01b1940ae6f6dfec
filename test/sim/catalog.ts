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

export interface SimCatalog {
  /** As several nodes share it. */
  readonly shared: Catalog;
  /** As one node has it for itself. */
  readonly alone: Catalog;
  /** All rows of a question in SQL. */
  rows<Row>(sql: string): Row[];
  /** By the name of a table: grows with each row that is changed. `all`: with any. */
  readonly changes: Readonly<Record<string, number>>;
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

const FORGET_NODES = ['nodes', 'claims', 'asks'].map((name) => `DELETE FROM temp.${name}`);
/** SQLite's own table. It writes into it while rows are inserted. */
const LAST_NUMBERS = 'sqlite_sequence';
const LAST_NUMBERS_GO = `DELETE FROM main.${LAST_NUMBERS}`;
const LAST_NUMBERS_RETURN = `INSERT INTO main.${LAST_NUMBERS} SELECT * FROM kept.k_${LAST_NUMBERS}`;
/** Triggers have counted the rows that were brought back once more. */
const RECOUNT = [
  ['folders', 'files, bytes'],
  ['links', 'sent_files, sent_bytes'],
].map(
  ([name, counts]) =>
    `UPDATE main.${name} SET (${counts}) = (SELECT ${counts} FROM kept.k_${name} AS kept WHERE kept.id = ${name}.id)`,
);

/** The tables, each after those that it refers to. So rows go and return without `PRAGMA foreign_keys`, after which every statement is compiled anew. */
function listTables(database: Database): string[] {
  const left = database.prepare(`SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name`).pluck().all();
  const tables = new Set<string>();
  function add(name: string): void {
    const references = database.pragma(`foreign_key_list(${name})`) as { table: string }[];
    for (const { table } of references) if (table !== name) add(table);
    tables.add(name);
  }
  for (const name of left as string[]) if (name !== LAST_NUMBERS) add(name);
  return [...tables];
}

/** Prepares what makes the copy of a table anew. */
function prepareCopy(database: Database, name: string): () => void {
  const statements = [`DELETE FROM kept."k_${name}"`, `INSERT INTO kept."k_${name}" SELECT * FROM main."${name}"`].map(
    (statement) => database.prepare(statement),
  );
  return () => {
    for (const statement of statements) statement.run();
  };
}

/** Prepares what runs these statements, one after the other. */
function inOneTransaction(database: Database, statements: readonly string[]): () => void {
  const prepared = statements.map((statement) => database.prepare(statement));
  return database.transaction(() => {
    for (const statement of prepared) statement.run();
  });
}

/** Triggers count, also what is rolled back. SQLite's own `total_changes()` has the nodes' rows in it, which change all the time. */
function watchChanges(database: Database, tables: readonly string[]): SimCatalog['changes'] {
  const changes: Record<string, number> = { all: 0 };
  const note = (table: string): void => void (changes[table] = (changes[table] ?? 0) + 1);
  database.function('note_change', { directOnly: false }, (table) => {
    for (const each of [String(table), 'all']) note(each);
    return null;
  });
  for (const table of tables) {
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
  const tables = listTables(database);
  database.exec(`ATTACH ':memory:' AS kept`);
  for (const name of [...tables, LAST_NUMBERS])
    database.exec(`CREATE TABLE kept."k_${name}" AS SELECT * FROM main."${name}" WHERE false`);
  const emptyMeta = database.prepare('SELECT * FROM meta').all() as { key: string; value: string }[];

  const wipe = tables.toReversed().map((name) => `DELETE FROM main."${name}"`);
  const bringBack = tables.map((name) => `INSERT INTO main."${name}" SELECT * FROM kept."k_${name}"`);
  const empty = inOneTransaction(database, [...wipe, LAST_NUMBERS_GO, ...FORGET_NODES]);
  const copies = new Map([...tables, LAST_NUMBERS].map((name) => [name, prepareCopy(database, name)]));
  const keep = database.transaction((names: readonly string[]) => {
    for (const name of names) copies.get(name)?.();
  });
  const restore = inOneTransaction(database, [...wipe, ...bringBack, ...RECOUNT, LAST_NUMBERS_GO, LAST_NUMBERS_RETURN]);
  const forgetNodes = inOneTransaction(database, FORGET_NODES);
  const insertMeta = database.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  const selectMeta = database.prepare('SELECT value FROM meta WHERE key = ?').pluck();
  const changes = watchChanges(database, tables);
  /** The changes of which the copies are. */
  let copied: Record<string, number> = {};
  const asked = new Map<string, ReturnType<Database['prepare']>>();

  function markDurable(): void {
    if (changes['all'] === copied['all']) return;
    keep([...tables.filter((name) => changes[name] !== copied[name]), LAST_NUMBERS]);
    copied = { ...changes };
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
      empty();
      for (const { key } of emptyMeta) insertMeta.run(key, 'of a simulation');
      markDurable();
    },
    continueTime: (source, believeAfterMs) => {
      const kept = selectMeta.get('clock') as string | undefined;
      current = createClock({ source, kept, believeAfterMs });
    },
    forgetNodes,
    markDurable,
    forgetUndurable: () => {
      restore();
      copied = { ...changes };
    },
  };
}
