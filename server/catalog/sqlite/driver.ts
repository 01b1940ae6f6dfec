/**
 * Kysely's SQLite dialect over one better-sqlite3 connection. Unlike the driver
 * that comes with Kysely, it keeps prepared statements, lets concurrent calls share a
 * commit, translates errors where they arise, and survives a transaction that
 * SQLite has rolled back by itself.
 */
import type { Statement } from 'better-sqlite3';
import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { RelaxedQuery } from '../queries/prepare.ts';
import type { Database } from './database.ts';
import { toCatalogError } from './errors.ts';
import { createSharedCommits, type Defer, type SharedCommits, type Transactions } from './shared-commits.ts';

/**
 * The dialect for a database that is open already, and stays open.
 *
 * @param watch - told of what is done; may refuse it.
 * @param defer - in simulations: decides when a commit begins. Calls that come before then may share it.
 */
export function createSqliteDialect(database: Database, watch: Watch, defer: Defer = setImmediate): Dialect {
  return {
    createDriver: () => new SqliteDriver(database, watch, defer),
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
  readonly #engine: Engine;
  readonly #commits: SharedCommits;
  /** Those that are not in use. */
  readonly #connections: SqliteConnection[] = [];

  constructor(database: Database, watch: Watch, defer: Defer) {
    this.#engine = new Engine(database, watch);
    this.#commits = createSharedCommits(this.#engine, defer);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteConnection> {
    return this.#connections.pop() ?? new SqliteConnection(this.#engine, this.#commits);
  }

  async releaseConnection(connection: SqliteConnection): Promise<void> {
    this.#connections.push(connection);
  }

  beginTransaction(connection: SqliteConnection): Promise<void> {
    return connection.begin();
  }

  commitTransaction(connection: SqliteConnection): Promise<void> {
    return connection.end(true);
  }

  rollbackTransaction(connection: SqliteConnection): Promise<void> {
    return connection.end(false);
  }

  async destroy(): Promise<void> {}
}

/** What one user of the database does: single statements, or a transaction that shares its commit with others. */
class SqliteConnection implements DatabaseConnection {
  readonly #engine: Engine;
  readonly #commits: SharedCommits;
  /** Ends its part of the transaction under way. */
  #leave: ((isKept: boolean) => void) | undefined;
  /** Of its transaction. */
  #outcome: Promise<void> = Promise.resolve();

  constructor(engine: Engine, commits: SharedCommits) {
    this.#engine = engine;
    this.#commits = commits;
  }

  async executeQuery<Row>(query: RelaxedQuery): Promise<QueryResult<Row>> {
    if (this.#leave) return this.#engine.run<Row>(query);
    if (this.#engine.writes(query)) return this.#write<Row>(query);
    for (let idle = this.#commits.idle(); idle; idle = this.#commits.idle()) await idle;
    return this.#engine.run<Row>(query);
  }

  /** A statement is whole in itself: where it fails, it alone is undone. */
  #write<Row>(query: RelaxedQuery): Promise<QueryResult<Row>> {
    return new Promise((resolve, reject) => {
      let result: QueryResult<Row>;
      this.#commits.add({
        run: () => {
          try {
            result = this.#engine.run<Row>(query);
            return true;
          } catch (error) {
            reject(error);
            return false;
          }
        },
        onCommitted: () => resolve(result),
        onRefused: reject,
      });
    });
  }

  begin(): Promise<void> {
    return new Promise((begun, refused) => {
      this.#outcome = new Promise((committed, undone) => {
        this.#commits.add({
          run: (isAlone) => this.#untilLeft(isAlone, begun, refused),
          onCommitted: committed,
          onRefused: (error) => {
            undone(error);
            refused(error);
          },
        });
      });
      // The call that commits rejects; where the transaction could not begin, the call that began it.
      this.#outcome.catch(() => undefined);
    });
  }

  #untilLeft(isAlone: boolean, begun: () => void, refused: (error: unknown) => void): Promise<boolean> {
    return new Promise((resolve) => {
      try {
        if (!isAlone) this.#engine.mark();
      } catch (error) {
        refused(error);
        resolve(false);
        return;
      }
      this.#leave = (isKept) => {
        if (!isAlone) this.#engine.release(isKept);
        else if (!isKept) this.#engine.rollback();
        resolve(isKept);
      };
      begun();
    });
  }

  /** @throws what kept it from being committed. */
  async end(isKept: boolean): Promise<void> {
    const leave = this.#leave;
    // Kysely rolls back, too, what could not be committed.
    if (!leave) return;
    this.#leave = undefined;
    leave(isKept);
    if (isKept) await this.#outcome;
  }

  streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('the catalog does not stream');
  }
}

/** Runs statements, and keeps them prepared. */
class Engine implements Transactions {
  readonly #database: Database;
  readonly #watch: Watch;
  /** By text: there are as many as queries in queries/, those with a list once for each length it may have. */
  readonly #statements = new Map<string, Statement>();
  /** Nothing durable hangs on what was done in the transaction under way. */
  #isRelaxed = true;
  lastError: unknown;

  constructor(database: Database, watch: Watch) {
    this.#database = database;
    this.#watch = watch;
  }

  get isOpen(): boolean {
    return this.#database.inTransaction;
  }

  begin(): void {
    this.#isRelaxed = true;
    this.#run('begin immediate', [], true);
  }

  commit(): void {
    this.#run('commit', [], this.#isRelaxed);
  }

  rollback(): void {
    // SQLite ends a transaction by itself when the disk is full, for one; there
    // a second rollback would fail and hide the reason.
    if (this.isOpen) this.#tryRun('rollback');
  }

  /** Begins a part of the transaction that can be undone by itself. */
  mark(): void {
    this.#run('savepoint own', [], true);
  }

  /** Keeps or undoes what was done since the mark. Where it cannot be undone by itself, nothing of the rest is kept either. */
  release(isKept: boolean): void {
    if (!this.isOpen) return;
    const isDone = (isKept || this.#tryRun('rollback to own')) && this.#tryRun('release own');
    if (!isDone) this.rollback();
  }

  #tryRun(sql: string): boolean {
    try {
      this.#prepare(sql).run();
      return true;
    } catch (error) {
      this.lastError = toCatalogError(error, this.#database.name);
      return false;
    }
  }

  /** Whether it may write, and is not one that must be outside of any transaction. */
  writes({ sql }: RelaxedQuery): boolean {
    this.#check();
    try {
      return !this.#prepare(sql).readonly && !sql.startsWith('pragma');
    } catch (error) {
      throw toCatalogError(error, this.#database.name);
    }
  }

  run<Row>({ sql, parameters, relaxed }: RelaxedQuery): QueryResult<Row> {
    return this.#run<Row>(sql, parameters, relaxed === true);
  }

  #run<Row>(sql: string, parameters: readonly unknown[], isRelaxed: boolean): QueryResult<Row> {
    this.#check();
    try {
      const statement = this.#prepare(sql);
      try {
        if (statement.reader) return { rows: statement.all(parameters) as Row[] };
        const { changes } = statement.run(parameters);
        return { rows: [], numAffectedRows: BigInt(changes) };
      } finally {
        // COMMIT counts as read-only to SQLite, and is what writes.
        if (!statement.reader || !statement.readonly) {
          if (!isRelaxed) this.#isRelaxed = false;
          this.#watch.onWrite(isRelaxed);
        }
      }
    } catch (error) {
      this.lastError = toCatalogError(error, this.#database.name);
      throw this.lastError;
    }
  }

  /** @throws CatalogError where nothing can be read or written. */
  #check(): void {
    if (!this.#database.open) throw new CatalogError('unavailable', `the catalog ${this.#database.name} is closed`);
    this.#watch.check();
  }

  #prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
