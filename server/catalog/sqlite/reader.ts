/**
 * Reads that may take long, beside the main thread: on a connection of their own, in a thread of their own. What was committed
 * before a read begins, it sees. The thread starts with the first of them.
 */
import { Worker } from 'node:worker_threads';
import { CatalogError } from '../catalog.ts';
import { SqliteError } from './database.ts';
import { toCatalogError } from './errors.ts';
import type { ReaderQuestion, ReaderReply, ReaderRequest, ReaderSetup } from './reader-messages.ts';

/** A second connection to the database, beside the main thread. */
export interface Reader {
  /** Starts the thread now: it brings the index of names up to date. */
  start(): void;
  /** Runs a query that only reads. @throws CatalogError. */
  rows(sql: string, parameters: readonly unknown[]): Promise<unknown[]>;
  /** See `NameIndex`: the ids of files. */
  findNames(owner: string, part: string, most: number): Promise<string[] | undefined>;
  /** Writes the log into the database, as far as nobody else is using it. @throws CatalogError. */
  checkpoint(): Promise<void>;
  /** Ends the thread, once it has answered everything. */
  close(): Promise<void>;
}

/** The thread could not start, or has died: the read can be made elsewhere. */
export class ReaderGone extends CatalogError {}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: CatalogError) => void;
}

/** A running thread. */
interface Thread {
  ask(question: ReaderQuestion): Promise<unknown>;
  ended: Promise<void>;
}

/**
 * The reader of the database in `file`, which this process has open.
 *
 * @param tell - called with a sentence where the thread, or the index of names, has failed.
 */
export function createReader(file: string, tell: (found: string) => void = () => undefined): Reader {
  let thread: Thread | undefined;
  let isClosed = false;
  let lastRead: Promise<unknown> = Promise.resolve();

  /** The thread; one that has died is replaced: its requests have failed. */
  function current(): Thread {
    if (thread) return thread;
    const started: Thread = startThread(file, {
      tell,
      onEnd: () => {
        // It tells so twice, and another one may have taken its place in between.
        if (thread === started) thread = undefined;
      },
    });
    return (thread = started);
  }

  async function ask(question: ReaderQuestion): Promise<unknown> {
    if (isClosed) throw new CatalogError('unavailable', `the catalog ${file} is closed`);
    let asked: Thread;
    try {
      asked = current();
    } catch (error) {
      // The system lets the process have no more threads, for example.
      throw new ReaderGone('failed', `the catalog ${file}: no thread could be started to read it`, error);
    }
    return asked.ask(question);
  }

  /** One read after the other, so that a checkpoint, for which commits may wait, waits for one of them at most. */
  function read(question: ReaderQuestion): Promise<unknown> {
    const run = lastRead.then(() => ask(question));
    lastRead = run.catch(() => undefined);
    return run;
  }

  return {
    start: () => {
      try {
        current();
      } catch {
        // The first read tries again, and tells.
      }
    },
    rows: (sql, parameters) => read({ op: 'rows', sql, parameters }) as Promise<unknown[]>,
    async findNames(owner, part, most) {
      try {
        return ((await read({ op: 'names', owner, part, most })) as string[] | null) ?? undefined;
      } catch (error) {
        // The search can do without the index.
        if (error instanceof ReaderGone) return undefined;
        throw error;
      }
    },
    async checkpoint() {
      await ask({ op: 'checkpoint' });
    },
    async close() {
      isClosed = true;
      if (!thread) return;
      const last = thread;
      // The thread may end before its answer is sent.
      await last.ask({ op: 'close' }).catch(() => undefined);
      await last.ended;
    },
  };
}

function startThread(file: string, { tell, onEnd }: { tell: (found: string) => void; onEnd: () => void }): Thread {
  const pending = new Map<number, Pending>();
  let last = 0;
  const worker = new Worker(new URL('./reader-thread.js', import.meta.url), {
    workerData: { file } satisfies ReaderSetup,
  });
  worker.unref();

  function settle(number: number): Pending | undefined {
    const found = pending.get(number);
    pending.delete(number);
    // Only a read that somebody waits for keeps the process alive.
    if (pending.size === 0) worker.unref();
    return found;
  }

  function fail(error: CatalogError): void {
    onEnd();
    for (const number of pending.keys()) settle(number)?.reject(error);
  }

  worker.on('message', (reply: ReaderReply) => {
    if ('told' in reply) {
      tell(reply.told);
      return;
    }
    const waiting = settle(reply.number);
    if ('value' in reply) waiting?.resolve(reply.value);
    else waiting?.reject(toError(reply.problem, file));
  });
  worker.on('error', (error) => {
    const problem = toCatalogError(error, file);
    tell(`the thread that reads the catalog is started anew: ${problem.message}`);
    fail(new ReaderGone(problem.code, problem.message, error));
  });
  const ended = new Promise<void>((resolve) => {
    worker.on('exit', () => {
      fail(new ReaderGone('failed', `the catalog ${file} failed: the thread that reads it ended`));
      resolve();
    });
  });

  return {
    ended,
    ask: (question) =>
      new Promise((resolve, reject) => {
        const number = ++last;
        pending.set(number, { resolve, reject });
        worker.ref();
        worker.postMessage({ ...question, number } satisfies ReaderRequest);
      }),
  };
}

function toError({ message, code }: { message: string; code: string | undefined }, file: string): CatalogError {
  return toCatalogError(code === undefined ? new Error(message) : new SqliteError(message, code), file);
}
