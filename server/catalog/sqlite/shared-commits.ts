/**
 * Transactions that share a commit. A commit writes each page that it has changed to the log, and concurrent transactions
 * change many of the same pages. So the transactions that begin in one turn of the event loop run one after the other in one
 * transaction of SQLite. Nobody sees uncommitted changes: reads wait, and so does the caller of each write. Why:
 * docs/decisions/0036-small-files.md.
 */

/** The most transactions of one commit: more would block the main thread for too long. */
const MOST_AT_ONCE = 32;

/** A statement or transaction that runs within the shared one. */
export interface Write {
  /**
   * Runs it. Never throws.
   *
   * @param isAlone - the shared transaction has no other write.
   * @returns false where it has changed nothing, or undone its changes.
   */
  run(isAlone: boolean): boolean | Promise<boolean>;
  /** Called when it is committed. */
  onCommitted(): void;
  /** Called when it could not begin, or was rolled back: nothing of it has happened. */
  onRefused(error: unknown): void;
}

/** SQLite's own transaction, in which the writes run. */
export interface Transactions {
  readonly isOpen: boolean;
  begin(): void;
  commit(): void;
  /** Never throws. */
  rollback(): void;
  /** The error of the last failed statement: the reason where SQLite has rolled a transaction back by itself. */
  readonly lastError: unknown;
}

export interface SharedCommits {
  /** Resolves when no transaction is running, just before the next begins; undefined where none is running. */
  idle(): Promise<void> | undefined;
  /** Runs the write with the next commit. */
  add(write: Write): void;
  /** Runs this while no transaction is running, and begins none before it has ended. */
  between(action: () => Promise<void>): Promise<void>;
}

/** Calls `action` at the end of this turn of the event loop, when all its calls have added their writes. */
export type Defer = (action: () => void) => unknown;

/** Lets writes share commits. @param defer - decides when a commit begins. */
export function createSharedCommits(transactions: Transactions, defer: Defer): SharedCommits {
  let waiting: Write[] = [];
  let isDue = false;
  let isRunning = false;
  let idlers: (() => void)[] = [];
  let betweens: (() => Promise<void>)[] = [];

  async function runAll(): Promise<void> {
    const actions = betweens;
    betweens = [];
    for (const action of actions) await action();
    const writes = waiting.slice(0, MOST_AT_ONCE);
    waiting = waiting.slice(MOST_AT_ONCE);
    isRunning = true;
    try {
      let left: readonly Write[] = writes;
      while (left.length > 0) left = await runSome(left);
    } finally {
      isRunning = false;
      const told = idlers;
      idlers = [];
      for (const tell of told) tell();
      isDue = false;
      if (waiting.length > 0 || betweens.length > 0) beDue();
    }
  }

  /** Runs writes in one transaction. @returns the remaining ones, where SQLite has rolled the transaction back by itself. */
  async function runSome(writes: readonly Write[]): Promise<readonly Write[]> {
    const kept: Write[] = [];
    try {
      transactions.begin();
    } catch (error) {
      refuse(writes, error);
      return [];
    }
    for (const [index, write] of writes.entries()) {
      if (await write.run(writes.length === 1)) kept.push(write);
      // SQLite has rolled back everything, on a full disk for example.
      if (!transactions.isOpen) {
        refuse(kept, transactions.lastError);
        return writes.slice(index + 1);
      }
    }
    try {
      transactions.commit();
    } catch (error) {
      transactions.rollback();
      refuse(kept, error);
      return [];
    }
    for (const write of kept) write.onCommitted();
    return [];
  }

  function refuse(writes: readonly Write[], error: unknown): void {
    for (const write of writes) write.onRefused(error);
  }

  function beDue(): void {
    isDue = true;
    defer(() => void runAll());
  }

  return {
    idle: () => (isRunning ? new Promise<void>((resolve) => idlers.push(resolve)) : undefined),
    add: (write) => {
      waiting.push(write);
      if (!isDue) beDue();
    },
    between: (action) =>
      new Promise((resolve, reject) => {
        betweens.push(() => action().then(resolve, reject));
        if (!isDue) beDue();
      }),
  };
}
