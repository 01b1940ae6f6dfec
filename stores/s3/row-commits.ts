/** The commits of one request to the row of its upload. Those of an atomic write are held back, until one commit has them all. */
import type { StoredPart, StoredUpload, WriteOptions } from '../store.ts';
import type { Objects } from './objects.ts';
import { afterChange, afterDurable, changeRow, type Row, type RowChange, rowOf } from './row.ts';

/** What a commit changes of the row's state. */
type Change = Parameters<typeof changeRow>[2];

export interface RowCommits {
  /** The row after the last commit, also where that is held back. */
  readonly row: Row;
  /** Whether this request has committed anything. */
  readonly hasCommitted: boolean;
  /** Commits a change, or holds the commit back. To be called only within a step of the order. */
  readonly commit: (to: number, snapshot: Uint8Array, change: Change, part?: StoredPart) => Promise<void>;
  /** Commits a change that is not about bytes, and so is never held back. */
  readonly commitNow: (change: Change) => Promise<void>;
  /** Makes one commit of all that were held back. */
  readonly commitHeld: () => Promise<void>;
  /** Removes the objects of all commits that were held back, which are never made then. */
  readonly removeHeld: () => Promise<void>;
  /** Makes all commits durable. */
  readonly makeDurable: () => Promise<void>;
}

/** What the commits work with. */
export interface Committing {
  upload: StoredUpload;
  /** The key of the whole object that this request may store. */
  key: string;
  /** `S3_PART_BYTES`. */
  partBytes: number;
  objects: Pick<Objects, 'remove'>;
  commitRow: WriteOptions['commit'];
  durable: () => Promise<void>;
  /** The digest state at the upload's offset. */
  snapshot: Promise<Uint8Array>;
  /** For an atomic write: commits of bytes are held back. */
  holdsBack: boolean;
}

/** A commit that is held back. */
interface Held {
  to: number;
  snapshot: Uint8Array;
  change: Change;
  part: StoredPart | undefined;
}

/** Makes the commits of one request. */
export function createRowCommits(committing: Committing): RowCommits {
  const { upload, key, partBytes, objects, commitRow, durable, snapshot, holdsBack } = committing;
  /** As the catalog has it. */
  let row = rowOf(upload, partBytes);
  /** As it will be with all commits that are held back. */
  let ahead = row;
  let held: Held[] = [];
  let hasCommitted = false;
  let committedSnapshot = snapshot;

  async function record(next: RowChange, state: Uint8Array, parts: readonly StoredPart[]): Promise<void> {
    const { committed: offset, storeState } = next;
    await commitRow({ offset, snapshot: state, storeState, ...(parts.length > 0 ? { parts } : {}) });
    hasCommitted = true;
    committedSnapshot = Promise.resolve(state);
    row = afterChange(row, next);
    // If this fails, a job removes the object.
    await Promise.all(next.removes.map((removed) => objects.remove(removed).catch(() => undefined)));
  }

  return {
    get row() {
      return held.length > 0 ? ahead : row;
    },
    get hasCommitted() {
      return hasCommitted;
    },
    commit: async (to, state, change, part) => {
      if (!holdsBack) return record(changeRow(row, to, change), state, part ? [part] : []);
      held.push({ to, snapshot: state, change, part });
      ahead = { ...ahead, committed: to, state: changeRow(ahead, to, change).state };
    },
    commitNow: async (change) => {
      await record(changeRow(row, row.committed, change), await committedSnapshot, []);
      ahead = { ...ahead, state: { ...ahead.state, ...change } };
    },
    commitHeld: async () => {
      const last = held.at(-1);
      if (!last) return;
      let next = changeRow(row, row.committed, {});
      for (const { to, change } of held) next = changeRow({ ...row, state: next.state }, to, change);
      const parts = held.map(({ part }) => part).filter((part) => part !== undefined);
      held = [];
      await record(next, last.snapshot, parts);
    },
    removeHeld: async () => {
      const tails = held.map(({ change }) => change.tail?.key).filter((tail) => tail !== undefined);
      const keys = held.some(({ change }) => change.whole) ? [...tails, key] : tails;
      held = [];
      for (const stored of keys) await objects.remove(stored);
    },
    makeDurable: async () => {
      const before = row;
      await durable();
      row = afterDurable(row, before);
    },
  };
}
