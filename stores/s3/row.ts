/**
 * The row of an upload as one request changes it. Nothing here waits or calls: `recorder.ts` commits.
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

export interface Row {
  /** The offset. */
  readonly committed: number;
  readonly state: UploadState;
  /** Keys of tails that rows superseded which survive a power cut: the next commit removes them. */
  readonly outdated: readonly string[];
}

/** A commit that is about to be made. */
export interface RowChange {
  readonly committed: number;
  readonly state: UploadState;
  /** `state` as the catalog keeps it; null where nothing is stored or left to be removed. */
  readonly storeState: string | null;
  /** Keys that go once it is made. */
  readonly removes: readonly string[];
}

/** The row that a request finds. What it names as superseded was so before this request, and goes with its first commit. */
export function rowOf({ offset, size, storeState }: Pick<StoredUpload, 'offset' | 'size' | 'storeState'>): Row {
  const state = decodeState(storeState) ?? {
    sizes: choosePartSizes(size),
    multipart: null,
    doubtful: false,
    tail: null,
    old: [],
    whole: false,
    key: null,
  };
  return { committed: offset, state, outdated: state.old };
}

/** A commit up to an offset. */
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

/** The row once a commit was made. */
export function afterChange({ outdated }: Row, { committed, state, removes }: RowChange): Row {
  return { committed, state, outdated: outdated.filter((key) => !removes.includes(key)) };
}

/** Every commit up to `durable` survives a power cut: no row will be seen again that counts on what it superseded. */
export function afterDurable(row: Row, durable: Row): Row {
  return { ...row, outdated: durable.state.old };
}
