/** Commits the row of an upload while a request writes to it: one step after the other. */
import type { Commit, StoredUpload, WriteOptions } from '../store.ts';
import type { Objects } from './objects.ts';
import { afterChange, afterDurable, changeRow, type Row, rowOf } from './row.ts';

/** Steps that move the ledger: one after the other, and none after one that failed. */
export interface Order {
  /** What failed first. */
  readonly failure: { readonly cause: unknown } | undefined;
  /** Also for what fails beside the steps. */
  fail(cause: unknown): void;
  /** Resolves when the step was taken, or left out; never rejects. */
  run(step: () => Promise<void>): Promise<void>;
  /** Resolves when every step that was handed in by now was taken, or left out. */
  settled(): Promise<void>;
  /** @throws what failed. */
  throwIfFailed(): void;
}

/** @param onFailure - called once. */
export function createOrder(onFailure: (cause: unknown) => void): Order {
  let failure: { cause: unknown } | undefined;
  let lastStep: Promise<void> = Promise.resolve();

  function fail(cause: unknown): void {
    if (failure) return;
    failure = { cause };
    onFailure(cause);
  }

  return {
    get failure() {
      return failure;
    },
    fail,
    run: (step) => {
      lastStep = lastStep.then(async () => {
        if (failure) return;
        try {
          await step();
        } catch (error) {
          fail(error);
        }
      });
      return lastStep;
    },
    settled: () => lastStep,
    throwIfFailed: () => {
      if (failure) throw failure.cause;
    },
  };
}

export interface Recorder {
  /** As of the last commit. */
  readonly row: Row;
  /** Whether this request has committed anything. */
  readonly hasCommitted: boolean;
  /** Only as a step of the order. */
  commit(
    to: number,
    snapshot: Uint8Array,
    change: Parameters<typeof changeRow>[2],
    part?: Commit['part'],
  ): Promise<void>;
  /** Commits what was committed already, for a row that was never written. */
  commitNothing(): Promise<void>;
  /** Makes all commits durable. */
  makeDurable(): Promise<void>;
  /** The multipart upload, begun where none was: recorded before anything is stored in it. */
  multipart(): Promise<string>;
}

export interface Recording {
  upload: StoredUpload;
  /** Of the multipart upload, also of one that is still to be begun. */
  key: string;
  objects: Objects;
  order: Order;
  commitRow: WriteOptions['commit'];
  durable: () => Promise<void>;
  /** The digest state at the upload's offset. */
  snapshot: Promise<Uint8Array>;
}

export function createRecorder({ upload, key, objects, order, commitRow, durable, snapshot }: Recording): Recorder {
  let row = rowOf(upload);
  let hasCommitted = false;
  let committedSnapshot = snapshot;
  let multipart: Promise<string> | undefined;

  async function commit(...[to, state, change, part]: Parameters<Recorder['commit']>): Promise<void> {
    const next = changeRow(row, to, change);
    const { storeState } = next;
    await commitRow({ offset: to, snapshot: state, storeState, ...(part ? { part } : {}) });
    hasCommitted = true;
    committedSnapshot = Promise.resolve(state);
    row = afterChange(row, next);
    // What an error leaves here, a job removes.
    await Promise.all(next.removes.map((removed) => objects.remove(removed).catch(() => undefined)));
  }

  async function begin(): Promise<string> {
    let id: string | undefined;
    await order.run(async () => {
      const { doubtful } = row.state;
      await commit(row.committed, await committedSnapshot, { doubtful: true });
      await durable();
      const begun = await objects.createMultipart(key, upload);
      id = begun.id;
      await commit(row.committed, await committedSnapshot, { multipart: id, key, doubtful: doubtful || begun.again });
      // Before it has a part: one that nobody knows of is only ended if it has none.
      await durable();
    });
    order.throwIfFailed();
    if (id === undefined) throw new Error('the upload was not begun');
    return id;
  }

  return {
    get row() {
      return row;
    },
    get hasCommitted() {
      return hasCommitted;
    },
    commit,
    commitNothing: async () => commit(row.committed, await committedSnapshot, {}),
    makeDurable: async () => {
      const before = row;
      await durable();
      row = afterDurable(row, before);
    },
    multipart: () => {
      const { multipart: known } = row.state;
      multipart ??= known === null ? begin() : Promise.resolve(known);
      // Where it fails, the part that needs it fails, too.
      multipart.catch(() => undefined);
      return multipart;
    },
  };
}
