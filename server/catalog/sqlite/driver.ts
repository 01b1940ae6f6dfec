/**
 * Kysely's SQLite dialect over one better-sqlite3 connection. Against the driver
 * that comes with Kysely it keeps prepared statements, lets waiting queries in one
 * by one in the order they came, translates errors where they arise, and survives
 * a transaction that SQLite has rolled back by itself.
 */
import type { Statement } from 'better-sqlite3';
import { CompiledQuery, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { RelaxedQuery } from '../queries/prepare.ts';
import type { Database } from './database.ts';
import { toCatalogError } from './errors.ts';

/**
 * The dialect for a database that is open already, and stays open.
 *
 * @param watch - told of what is done; may refuse it.
 */
export function createSqliteDialect(database: Database, watch: Watch): Dialect {
  return {
    createDriver: () => new SqliteDriver(database, watch),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

export interface Watch {
  /** Before each statement. @throws CatalogError when nothing may be read or written any more. */
  check(): void;
  /** After each statement that may have written to the log. @param isRelaxed - nothing durable hangs on it. */
  onWrite(isRelaxed: boolean): void;
}

class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection;
  readonly #waiting: Array<() => void> = [];
  #taken = false;

  constructor(database: Database, watch: Watch) {
    this.#connection = new SqliteConnection(database, watch);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#taken = true;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    const next = this.#waiting.shift();
    // The connection passes on as it is: nobody gets in between.
    if (next) next();
    else this.#taken = false;
  }

  async beginTransaction(): Promise<void> {
    await this.#connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  async commitTransaction(): Promise<void> {
    await this.#connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(): Promise<void> {
    // SQLite ends a transaction by itself when the disk is full, for one; there
    // a second rollback would fail and hide the reason.
    if (this.#connection.inTransaction) await this.#connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async destroy(): Promise<void> {}
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: Database;
  readonly #watch: Watch;
  /** By text: there are as many as queries in queries/, those with a list once for each length it may have. */
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database, watch: Watch) {
    this.#database = database;
    this.#watch = watch;
  }

  get inTransaction(): boolean {
    return this.#database.inTransaction;
  }

  async executeQuery<Row>(query: RelaxedQuery): Promise<QueryResult<Row>> {
    const { sql, parameters } = query;
    if (!this.#database.open) throw new CatalogError('unavailable', `the catalog ${this.#database.name} is closed`);
    this.#watch.check();
    try {
      const statement = this.#prepare(sql);
      try {
        if (statement.reader) return { rows: statement.all(parameters) as Row[] };
        const { changes } = statement.run(parameters);
        return { rows: [], numAffectedRows: BigInt(changes) };
      } finally {
        // COMMIT counts as read-only to SQLite, and is what writes.
        if (!statement.reader || !statement.readonly) this.#watch.onWrite(query.relaxed === true);
      }
    } catch (error) {
      throw toCatalogError(error, this.#database.name);
    }
  }

  streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('the catalog does not stream');
  }

  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
