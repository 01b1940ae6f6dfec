/** What the main thread and the reader's thread send each other. */

/** What the reader's thread is started with. */
export interface ReaderSetup {
  /** The database. */
  file: string;
}

export type ReaderQuestion =
  /** A query that only reads. */
  | { op: 'rows'; sql: string; parameters: readonly unknown[] }
  /** The ids of an owner's files whose folded names may contain a part; null where they are more, or nobody knows yet. */
  | { op: 'names'; owner: string; part: string; most: number }
  /** Writes what the log has into the database. */
  | { op: 'checkpoint' }
  /** Ends the thread. */
  | { op: 'close' };

export type ReaderRequest = ReaderQuestion & { number: number };

/** `code`: of an error of SQLite. `told`: a sentence for the service's log. */
export type ReaderReply =
  | { number: number; value: unknown }
  | { number: number; problem: { message: string; code: string | undefined } }
  | { told: string };
