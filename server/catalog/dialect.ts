/** What the databases say in words of their own, for the queries that they share. Each dialect's folder has its own. */
import type { Expression, Kysely, RawBuilder, SqlBool } from 'kysely';
import type { Executor } from './queries/prepare.ts';
import type { Counters } from './rows.ts';
import type { Tables } from './schema.ts';

/** A query whose rows can be locked. */
interface Lockable {
  forUpdate(of?: never): unknown;
}

/** Where a search finds the rows of `files` that may contain a part: all that do, and few others. */
export interface Narrowed {
  /** The tables that it reads, `files` among them. */
  from: RawBuilder<unknown>;
  where: RawBuilder<SqlBool>;
}

/** An index of what names contain. */
export interface NameIndex {
  /**
   * Asks the index for the owner's files whose folded name contains this part.
   *
   * @param most - the search has no use for more files.
   * @returns undefined where it knows already that they are more, or cannot tell.
   */
  narrow: (owner: string, part: string, most: number) => Promise<Narrowed | undefined>;
}

export interface QueryDialect {
  /** Whether `text` contains `part`; no character of `part` is a wildcard. */
  contains: (text: Expression<string>, part: string) => Expression<SqlBool>;
  /** Null where there is none. */
  nameIndex: NameIndex | null;
  /**
   * Reads the newest version of the rows that `query` finds, and locks them until the transaction ends. To be read before
   * anything that depends on them.
   *
   * @param inOrder - the tables of a join, in the order in which their rows are locked.
   */
  locked: <Query extends Lockable>(query: Query, inOrder?: readonly (keyof Tables)[]) => Query;
  /** As `locked`, for rows that stay: others may still add rows that refer to them. */
  lockedToChange: <Query extends { forNoKeyUpdate(): unknown }>(query: Query) => Query;
  /** As `locked`, without the rows that another transaction has locked: it works on those. */
  unlocked: <Query extends { forUpdate(): { skipLocked(): unknown } }>(query: Query) => Query;
  /** Of a JSON array of arrivals a table with the columns id, epoch and idle_ms, by the name that follows. */
  arrivals: (json: string) => RawBuilder<unknown>;
  /** Whether `text` is one of a JSON array of texts. */
  isAmong: (text: Expression<string | null>, json: string) => Expression<SqlBool>;
  /** Runs one statement, and nothing else by the same name at the same time. */
  oneAtATime: <Result>(
    db: Kysely<Tables>,
    name: string,
    run: (executor: Executor) => Promise<Result>,
  ) => Promise<Result>;
  /**
   * Holds a name until the transaction ends: others who want to hold it wait, unless all of them share it. A lock of no row,
   * for what is not there yet.
   */
  hold: (executor: Executor, name: string, way: 'shared' | 'alone') => Promise<void>;
  /** Stands in an INSERT that brings ids of rows along, where the database would give them. */
  givenIds: RawBuilder<unknown>;
  /** The last numbers that were given out; `raise` never lowers them. */
  counters: {
    read: (db: Kysely<Tables>) => Promise<Counters>;
    raise: (db: Kysely<Tables>, counters: Counters) => Promise<void>;
  };
}

/** What keeping quotas needs of a database. */
export interface QuotaDialect extends Pick<QueryDialect, 'hold'> {
  /** Whether transactions run at the same time. */
  isConcurrent: boolean;
  /** Brings about within the transaction what the database would do at its commit: some totals are counted then. */
  settle: (executor: Executor) => Promise<void>;
  /** No more transactions than so many run at the same time. */
  mostAtOnce: () => Promise<number>;
  /**
   * So many transactions of this process may hold locks of quotas, or wait for them: where a node hangs that holds one, the others
   * keep connections for all else.
   */
  mostHolding: number;
}
