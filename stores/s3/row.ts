/**
 * The row of an upload as one request changes it: pure functions. `recorder.ts` commits.
 *
 * | commit of           | multipart, doubtful      | key    | tail  | old                                            |
 * |---------------------|--------------------------|--------|-------|------------------------------------------------|
 * | the intent to begin | doubtful                 | stays  | stays | without the outdated                           |
 * | the beginning       | known; doubtful if twice | its    | stays | without the outdated                           |
 * | a part              | stay                     | stays  | none  | without the outdated, with the tail that stood |
 * | a tail              | stay                     | stays  | it    | without the outdated, with the tail that stood |
 * | the whole object    | stay                     | its    | none  | without the outdated, with the tail that stood |
 * | nothing             | stay                     | stays  | stays | without the outdated                           |
 */
import type { StoredUpload } from '../store.ts';
import { choosePartSizes } from './part-sizes.ts';
import { decodeState, encodeState, type UploadState } from './state.ts';

/** The row after the last commit. */
export interface Row {
  /** The offset. */
  readonly committed: number;
  readonly state: UploadState;
  /** Keys of tails that a durable row has superseded: the next commit removes them. */
  readonly outdated: readonly string[];
}

/** A commit that is about to be made. */
export interface RowChange {
  readonly committed: number;
  readonly state: UploadState;
  /** `state` as the catalog keeps it; null where the bucket has nothing of the upload. */
  readonly storeState: string | null;
  /** Keys of objects that are removed after the commit. */
  readonly removes: readonly string[];
}

/**
 * The row that a request finds. Tails that it names as superseded are removed with the request's first commit.
 *
 * @param partBytes - the size of parts of an upload that has no row in the bucket yet: all others keep theirs.
 */
export function rowOf(
  { offset, size, storeState }: Pick<StoredUpload, 'offset' | 'size' | 'storeState'>,
  partBytes: number,
): Row {
  const state = decodeState(storeState) ?? {
    sizes: choosePartSizes(size, partBytes),
    multipart: null,
    doubtful: false,
    tail: null,
    old: [],
    whole: false,
    key: null,
  };
  return { committed: offset, state, outdated: state.old };
}

/** The change that a commit up to an offset makes. */
export function changeRow(
  { state: before, outdated }: Row,
  committed: number,
  change: Partial<Omit<UploadState, 'old'>>,
): RowChange {
  const old = before.old.filter((key) => !outdated.includes(key));
  const { tail = before.tail } = change;
  if (before.tail && before.tail.key !== tail?.key) old.push(before.tail.key);
  const state = { ...before, ...change, old };
  const isEmpty = committed === 0 && old.length === 0 && state.multipart === null && !state.doubtful;
  return { committed, state, storeState: isEmpty ? null : encodeState(state), removes: outdated };
}

/** The row after a commit. */
export function afterChange({ outdated }: Row, { committed, state, removes }: RowChange): Row {
  return { committed, state, outdated: outdated.filter((key) => !removes.includes(key)) };
}

/** The row once all commits up to `durable` survive a power cut: no older row can return that names superseded tails. */
export function afterDurable(row: Row, durable: Row): Row {
  return { ...row, outdated: durable.state.old };
}
