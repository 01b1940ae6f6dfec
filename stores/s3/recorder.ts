/** Commits the row of an upload while a request writes to it: one step after the other. */
import type { Objects } from './objects.ts';
import { type Committing, createRowCommits, type RowCommits } from './row-commits.ts';

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
export interface Recorder extends Omit<RowCommits, 'commitNow'> {
  /** Commits the row unchanged, for an upload that has no commit yet. */
  commitNothing(): Promise<void>;
  /** The id of the multipart upload. Begins it where there is none, and commits the id before anything is stored in it. */
  multipart(): Promise<string>;
}

/** What a recorder works with. */
export interface Recording extends Committing {
  /** The key of the whole object, or of the multipart upload, also before that is begun. */
  key: string;
  objects: Objects;
  order: Order;
}

/** Makes the recorder of one request. */
export function createRecorder(recording: Recording): Recorder {
  const { upload, key, objects, order, durable } = recording;
  const commits = createRowCommits(recording);
  let multipart: Promise<string> | undefined;

  async function begin(): Promise<string> {
    let id: string | undefined;
    await order.run(async () => {
      const { doubtful } = commits.row.state;
      await commits.commitNow({ doubtful: true });
      await durable();
      const begun = await objects.createMultipart(key, upload);
      id = begun.id;
      await commits.commitNow({ multipart: id, key, doubtful: doubtful || begun.again });
      // Durable before it has a part: under a content's key, a multipart upload that no row names is only aborted while empty.
      await durable();
    });
    order.throwIfFailed();
    if (id === undefined) throw new Error('the upload was not begun');
    return id;
  }

  return {
    get row() {
      return commits.row;
    },
    get hasCommitted() {
      return commits.hasCommitted;
    },
    commit: commits.commit,
    commitHeld: commits.commitHeld,
    removeHeld: commits.removeHeld,
    commitNothing: () => commits.commitNow({}),
    makeDurable: commits.makeDurable,
    multipart: () => {
      const { multipart: known } = commits.row.state;
      multipart ??= known === null ? begin() : Promise.resolve(known);
      // The part that needs it reports its failure.
      multipart.catch(() => undefined);
      return multipart;
    },
  };
}
