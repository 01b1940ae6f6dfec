/** Commits the row of an upload while a request writes to it: one step after the other. */
import type { Commit, StoredUpload, WriteOptions } from '../store.ts';
import type { Objects } from './objects.ts';
import { afterChange, afterDurable, changeRow, type Row, rowOf } from './row.ts';

/** Runs the steps that commit: one after the other, and none after a failure. */
export interface Order {
  /** The first failure. */
  readonly failure: { readonly cause: unknown } | undefined;
  /** Reports a failure outside the steps. */
  fail(cause: unknown): void;
  /** Resolves when the step has ended or was skipped; never rejects. */
  run(step: () => Promise<void>): Promise<void>;
  /** Resolves when all steps up to now have ended or were skipped. */
  settled(): Promise<void>;
  /** @throws the first failure. */
  throwIfFailed(): void;
}

/** Makes an order. @param onFailure - called once, with the first failure. */
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

/** Commits on behalf of one request. */
export interface Recorder {
  /** The row after the last commit. */
  readonly row: Row;
  /** Whether this request has committed anything. */
  readonly hasCommitted: boolean;
  /** Commits a change. To be called only within a step of the order. */
  commit(
    to: number,
    snapshot: Uint8Array,
    change: Parameters<typeof changeRow>[2],
    part?: Commit['part'],
  ): Promise<void>;
  /** Commits the row unchanged, for an upload that has no commit yet. */
  commitNothing(): Promise<void>;
  /** Makes all commits durable. */
  makeDurable(): Promise<void>;
  /** The id of the multipart upload. Begins it where there is none, and commits the id before anything is stored in it. */
  multipart(): Promise<string>;
}

/** What a recorder works with. */
export interface Recording {
  upload: StoredUpload;
  /** The key of the multipart upload, also before it is begun. */
  key: string;
  objects: Objects;
  order: Order;
  commitRow: WriteOptions['commit'];
  durable: () => Promise<void>;
  /** The digest state at the upload's offset. */
  snapshot: Promise<Uint8Array>;
}

/** Makes the recorder of one request. */
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
    // If this fails, a job removes the object.
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
      // Durable before it has a part: under a content's key, a multipart upload that no row names is only aborted while empty.
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
      // The part that needs it reports its failure.
      multipart.catch(() => undefined);
      return multipart;
    },
  };
}
