/** What an upload's row keeps for this store. Null there: nothing is stored yet, or nothing is left to remove. */
import { StoreError } from '../store.ts';
import type { PartSizes } from './part-sizes.ts';

/** The bytes after the last part, in an object of their own until the part is whole. */
export interface Tail {
  key: string;
  /** Where its part begins. */
  start: number;
  size: number;
  md5: string;
}

export interface UploadState {
  sizes: PartSizes;
  /** UploadId of the multipart upload; null: none was begun. */
  multipart: string | null;
  /** One may have been begun whose UploadId never came: its answer was lost, or this process died before it. */
  doubtful: boolean;
  tail: Tail | null;
  /**
   * Keys of tails that were superseded by this row or one before it. They go with a later
   * request: a power cut can still bring back the row that names them.
   */
  old: string[];
  /** The whole object is under its key. */
  whole: boolean;
}

const VERSION = 1;

export function encodeState(state: UploadState): string {
  return JSON.stringify({ version: VERSION, ...state });
}

/**
 * Null where nothing is noted, or what a folder noted of an upload that was begun there.
 *
 * @throws StoreError `failed` when it is of another version.
 */
export function decodeState(text: string | null): UploadState | null {
  if (!text?.startsWith('{')) return null;
  const { version, ...state } = JSON.parse(text) as UploadState & { version: unknown };
  if (version !== VERSION) throw new StoreError('failed', `state of an upload in an unknown version: ${text}`);
  return state;
}
