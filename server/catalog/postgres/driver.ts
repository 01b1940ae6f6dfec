/**
 * Kysely's PostgreSQL dialect over a pool of pg. Unlike the driver that comes with Kysely, it translates errors where
 * they arise, knows whether a transaction may have been committed, and returns no broken connection to the pool.
 */
import { PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';
import type pg from 'pg';
import { CatalogError } from '../catalog.ts';
import { isInterrupted, isOfNoUse, toCatalogError } from './errors.ts';

/** PostgreSQL ends a transaction that is idle for this long, so that a frozen node does not hold locks for longer. */
const LONGEST_PAUSE_MS = 10_000;

// Does not rely on the defaults of the database or the user. One message: a pooler in transaction mode keeps it together.
const BEGIN = `begin isolation level read committed; set local idle_in_transaction_session_timeout = ${LONGEST_PAUSE_MS}`;

/**
 * The dialect over a pool.
 *
 * @param name - the catalog's name in messages.
 * @param mayTryAgain - called when a connection fails; returns true where it changed how the pool connects, to try again.
 */
export function createPostgresDialect(
  pool: pg.Pool,
  name: string,
  mayTryAgain: (error: unknown) => boolean = () => false,
): Dialect {
  return {
    createDriver: () => new PostgresDriver(pool, name, mayTryAgain),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
  };
}

class PostgresDriver implements Driver {
  readonly #pool: pg.Pool;
  readonly #name: string;
  readonly #mayTryAgain: (error: unknown) => boolean;

  constructor(pool: pg.Pool, name: string, mayTryAgain: (error: unknown) => boolean) {
    this.#pool = pool;
    this.#name = name;
    this.#mayTryAgain = mayTryAgain;
    // The query that fails on a lost connection reports it. Without a listener, an error would end the process.
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PostgresConnection> {
    if (this.#pool.ending) throw new CatalogError('unavailable', `the catalog ${this.#name} is closed`);
    try {
      return new PostgresConnection(await this.#pool.connect(), this.#name);
    } catch (error) {
      if (this.#mayTryAgain(error)) return this.acquireConnection();
      // Without a connection, no transaction was committed.
      throw toCatalogError(error, this.#name, true);
    }
  }

  async releaseConnection(connection: PostgresConnection): Promise<void> {
    connection.release();
  }

  beginTransaction(connection: PostgresConnection): Promise<void> {
    return connection.begin();
  }

  commitTransaction(connection: PostgresConnection): Promise<void> {
    return connection.commit();
  }

  rollbackTransaction(connection: PostgresConnection): Promise<void> {
    return connection.rollback();
  }

  async destroy(): Promise<void> {}
}

/** A connection of the pool, until it is returned. */
class PostgresConnection implements DatabaseConnection {
  readonly #client: pg.PoolClient;
  readonly #name: string;
  /** Whether a transaction has begun that was not yet told to commit. */
  #isOpen = false;
  #isBroken = false;

  constructor(client: pg.PoolClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const { rows, rowCount } = await this.#run<Row & object>(sql, parameters);
    return { rows, numAffectedRows: BigInt(rowCount ?? 0) };
  }

  async begin(): Promise<void> {
    this.#isOpen = true;
    try {
      await this.#run(BEGIN);
    } catch (error) {
      // The transaction may have begun: the pool must not lend a connection within a transaction to another query.
      this.#isBroken = true;
      throw error;
    }
  }

  async commit(): Promise<void> {
    this.#isOpen = false;
    const { command } = await this.#run('commit');
    if (command === 'COMMIT') return;
    throw new CatalogError('failed', `the catalog ${this.#name} has undone a transaction in which a statement failed`);
  }

  /** Never throws: if the rollback fails, the transaction ends with the connection. */
  async rollback(): Promise<void> {
    this.#isOpen = false;
    if (!this.#isBroken) await this.#run('rollback').catch(() => (this.#isBroken = true));
  }

  release(): void {
    this.#client.release(this.#isBroken);
  }

  async #run<Row extends object>(text: string, parameters: readonly unknown[] = []): Promise<pg.QueryResult<Row>> {
    try {
      return await this.#client.query<Row>(text, parameters.map(toParameter));
    } catch (error) {
      if (isOfNoUse(error)) this.#isBroken = true;
      throw toCatalogError(error, this.#name, this.#mayBeDone(text, error));
    }
  }

  /** Whether a statement that failed with this error may have been committed. */
  #mayBeDone(text: string, error: unknown): boolean {
    if (text === 'commit') return true;
    return !this.#isOpen && !text.startsWith('select') && !isInterrupted(error);
  }

  streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('the catalog does not stream');
  }
}

/** PostgreSQL's text cannot contain U+0000: it is written, and searched for, as U+FFFD. */
function toParameter(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
}
