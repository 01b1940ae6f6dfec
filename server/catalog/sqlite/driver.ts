/**
 * Kysely's SQLite dialect over one better-sqlite3 connection. Unlike Kysely's own driver, it keeps prepared statements,
 * lets concurrent calls share a commit, translates errors, and keeps working after SQLite has rolled a transaction back
 * by itself.
 */
import type { Statement } from 'better-sqlite3';
import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import type { DatabaseConnection, Dialect, Driver, LimitNode, QueryResult } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { AsideQuery, RelaxedQuery } from '../queries/prepare.ts';
import type { Database } from './database.ts';
import { toCatalogError } from './errors.ts';
import { type Reader, ReaderGone } from './reader.ts';
import { createSharedCommits, type Defer, type SharedCommits, type Transactions } from './shared-commits.ts';

/** The dialect of one database. */
export interface SqliteDialect extends Dialect {
  /** See `SharedCommits`. */
  between: SharedCommits['between'];
}

/** Runs reads that may take long elsewhere. */
export type Beside = Pick<Reader, 'rows'>;

/**
 * The dialect for an open database, which the driver does not close.
 *
 * @param watch - called before and after each statement; may refuse it.
 * @param options.defer - decides when a commit begins; calls that come before then may share it. Simulations give their own.
 * @param options.beside - runs the queries that are marked as `aside`. Left out, they run on this connection.
 */
export function createSqliteDialect(
  database: Database,
  watch: Watch,
  { defer = setImmediate, beside }: { defer?: Defer; beside?: Beside | undefined } = {},
): SqliteDialect {
  const driver = new SqliteDriver(database, watch, { defer, beside });
  return {
    between: (action) => driver.commits.between(action),
    createDriver: () => driver,
    createQueryCompiler: () => new Compiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

/**
 * Hides from SQLite that a limit is a parameter. Since 3.48 it plans by the value of such a parameter, and compiles the statement anew
 * each time one is given, the same one too: that takes longer than most queries.
 */
class Compiler extends SqliteQueryCompiler {
  protected override visitLimit({ limit }: LimitNode): void {
    this.append('limit +');
    this.visitNode(limit);
  }
}

/** Follows the statements of a connection. */
export interface Watch {
  /** Called before each statement. @throws CatalogError when the database may not be used any more. */
  check(): void;
  /** Called after each statement that may have written to the log. @param isRelaxed - what it wrote need not be durable. */
  onWrite(isRelaxed: boolean): void;
}

class SqliteDriver implements Driver {
  readonly commits: SharedCommits;
  readonly #engine: Engine;
  readonly #beside: Beside | undefined;
  /** Connections that are not in use. */
  readonly #connections: SqliteConnection[] = [];

  constructor(database: Database, watch: Watch, { defer, beside }: { defer: Defer; beside: Beside | undefined }) {
    this.#engine = new Engine(database, watch);
    this.#beside = beside;
    this.commits = createSharedCommits(this.#engine, defer);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteConnection> {
    return this.#connections.pop() ?? new SqliteConnection(this.#engine, this.commits, this.#beside);
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

/** One user of the database: it runs single statements, or a transaction that shares its commit with others. */
class SqliteConnection implements DatabaseConnection {
  readonly #engine: Engine;
  readonly #commits: SharedCommits;
  readonly #beside: Beside | undefined;
  /** Ends this connection's part of the running transaction; undefined while it has none. */
  #leave: ((isKept: boolean) => void) | undefined;
  /** Whether its transaction was committed. */
  #outcome: Promise<void> = Promise.resolve();

  constructor(engine: Engine, commits: SharedCommits, beside: Beside | undefined) {
    this.#engine = engine;
    this.#commits = commits;
    this.#beside = beside;
  }

  async executeQuery<Row>(query: RelaxedQuery & AsideQuery): Promise<QueryResult<Row>> {
    if (this.#leave) return this.#engine.run<Row>(query);
    if (query.aside && this.#beside) {
      this.#engine.check();
      try {
        return { rows: (await this.#beside.rows(query.sql, query.parameters)) as Row[] };
      } catch (error) {
        // Once, it may hold up others. The next read has a new thread.
        if (!(error instanceof ReaderGone)) throw error;
      }
    }
    if (this.#engine.writes(query)) return this.#write<Row>(query);
    for (let idle = this.#commits.idle(); idle; idle = this.#commits.idle()) await idle;
    return this.#engine.run<Row>(query);
  }

  /** Runs a single statement with the next commit. Where it fails, SQLite undoes only this statement. */
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
      // Not an unhandled rejection: `end` rejects, or, where the transaction could not begin, `begin`.
      this.#outcome.catch(() => undefined);
    });
  }

  /** Lets this connection's part of the transaction run. Resolves when it ends. */
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

  /** Ends the transaction. @throws the error that prevented its commit. */
  async end(isKept: boolean): Promise<void> {
    const leave = this.#leave;
    // Kysely also calls for a rollback after a failed commit.
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
  /** By their text: one for each query in queries/; a query with a list has one for each length of the list. */
  readonly #statements = new Map<string, Statement>();
  /** Whether nothing in the running transaction needs to be durable. */
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
    // SQLite may have rolled the transaction back by itself, on a full disk for example. Then a second rollback would fail,
    // and hide the reason.
    if (this.isOpen) this.#tryRun('rollback');
  }

  /** Begins a part of the transaction that can be undone separately. */
  mark(): void {
    this.#run('savepoint own', [], true);
  }

  /** Keeps or undoes the part since the mark. Where it cannot be undone separately, rolls back the whole transaction. */
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

  /** Whether the statement may write; false for pragmas, some of which must run outside of a transaction. */
  writes({ sql }: RelaxedQuery): boolean {
    this.check();
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
    this.check();
    try {
      const statement = this.#prepare(sql);
      try {
        if (statement.reader) return { rows: statement.all(parameters) as Row[] };
        const { changes } = statement.run(parameters);
        return { rows: [], numAffectedRows: BigInt(changes) };
      } finally {
        // SQLite calls COMMIT read-only, though it is what writes.
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

  /** @throws CatalogError where the database cannot be used. */
  check(): void {
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
