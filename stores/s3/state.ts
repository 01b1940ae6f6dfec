/** What an upload's row keeps for this store. Null in the row: nothing is stored yet, or nothing is left to remove. */
import { StoreError } from '../store.ts';
import type { Keys } from './keys.ts';
import type { PartSizes } from './part-sizes.ts';

/** The bytes after the last part, in an object of their own until they become a part. */
export interface Tail {
  key: string;
  /** Where its part begins. */
  start: number;
  size: number;
  md5: string;
}

/** What the row says about the upload in the bucket. */
export interface UploadState {
  sizes: PartSizes;
  /** UploadId of the multipart upload; null: none was begun. */
  multipart: string | null;
  /**
   * Whether the bucket may have something that no row names: a multipart upload, a whole object or a tail, from an attempt
   * whose answer was lost, whose process died, or whose writer has lost its lease.
   */
  doubtful: boolean;
  tail: Tail | null;
  /**
   * Keys of tails that this row or an earlier one has superseded. They are removed later: a power cut can still bring back
   * the row that needs them.
   */
  old: string[];
  /** Whether the whole object is under its key. */
  whole: boolean;
  /** The key of the whole object or the multipart upload. Null: there is neither, or an earlier version made it. */
  key: string | null;
}

const VERSION = 2;
/** An earlier version, in which the keys of objects are the ids of the uploads. */
const VERSION_WITHOUT_KEY = 1;
/** For an upload without a tail: its object can only be empty, so that all attempts have the same bytes. */
const NONCE_OF_NOTHING = '0'.repeat(12);
/** The nonce at the end of a tail's key, see `Keys`. */
const NONCE_LENGTH = 12;

/** The state as the row keeps it. */
export function encodeState(state: UploadState): string {
  return JSON.stringify({ version: VERSION, ...state });
}

/**
 * Reads the state. Null where the row has none, or has the note of a store in a folder, where the upload was begun.
 *
 * @throws StoreError `failed` when it is of another version.
 */
export function decodeState(text: string | null): UploadState | null {
  if (!text?.startsWith('{')) return null;
  const { version, ...state } = JSON.parse(text) as UploadState & { version: unknown };
  if (version === VERSION_WITHOUT_KEY) return { ...state, key: null };
  if (version !== VERSION) throw new StoreError('failed', `state of an upload in an unknown version: ${text}`);
  return state;
}

/** Whether the upload's object has its key already, which then does not change. */
export function hasKey(state: UploadState | null): boolean {
  return state !== null && (state.whole || state.multipart !== null);
}

/**
 * The key of the upload's object, by its row. An object that is still to be made from the tail has the tail's nonce in its
 * key: other bytes would be in another tail, and so get another key.
 */
export function finalKeyOf(keys: Keys, id: string, state: UploadState | null): string {
  if (hasKey(state)) return state?.key ?? keys.final(id, null);
  return keys.final(id, state?.tail?.key.slice(-NONCE_LENGTH) ?? NONCE_OF_NOTHING);
}
