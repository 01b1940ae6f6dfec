/**
 * Transactions that share a commit. Each page that a commit touches is written to the log, and transactions of
 * neighbours touch many of the same: so those that are asked for in one turn of the event loop run one after the
 * other in one transaction of SQLite. Nobody sees what is not committed: reads wait, and so does the caller that asked for
 * a write. Why: docs/decisions/0036-small-files.md.
 */

/** Transactions of one commit: longer ones would hold up the main thread. */
const MOST_AT_ONCE = 32;

/** What is done within the transaction under way. */
export interface Write {
  /** Does it, and says whether it is to be kept: false where it has changed nothing, or undone it. Never throws. */
  run(isAlone: boolean): boolean | Promise<boolean>;
  /** It is committed. */
  onCommitted(): void;
  /** It could not begin, or what it did is undone: nothing of it has happened. */
  onRefused(error: unknown): void;
}

/** SQLite's transaction, in which others run. */
export interface Transactions {
  readonly isOpen: boolean;
  begin(): void;
  commit(): void;
  /** Never throws. */
  rollback(): void;
  /** Of the last statement that failed: why SQLite has ended a transaction by itself. */
  readonly lastError: unknown;
}

export interface SharedCommits {
  /** Resolves when no transaction is under way; nobody gets in before the caller continues. */
  idle(): Promise<void> | undefined;
  /** Runs it with the next commit. */
  add(write: Write): void;
}

/** Calls back once all that comes in this turn of the event loop has asked for what it needs. */
export type Defer = (action: () => void) => unknown;

export function createSharedCommits(transactions: Transactions, defer: Defer): SharedCommits {
  let waiting: Write[] = [];
  let isDue = false;
  let isRunning = false;
  let idlers: (() => void)[] = [];

  async function runAll(): Promise<void> {
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
      if (waiting.length > 0) beDue();
    }
  }

  /** Runs writes in one transaction. @returns those that are left where SQLite has ended it. */
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
      // On a full disk, for one, SQLite undoes all of it.
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
  };
}
