/** What an upload's row keeps for this store. Null there: nothing is stored yet, or nothing is left to remove. */
import { StoreError } from '../store.ts';
import type { Keys } from './keys.ts';
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
  /**
   * There may be something that no row names: a multipart upload, a whole object or a tail of an attempt whose answer
   * was lost, whose process died, or whose writer has lost its lease.
   */
  doubtful: boolean;
  tail: Tail | null;
  /**
   * Keys of tails that were superseded by this row or one before it. They go with a later
   * request: a power cut can still bring back the row that names them.
   */
  old: string[];
  /** The whole object is under its key. */
  whole: boolean;
  /** Of the whole object, or of the multipart upload. Null: there is neither, or it is of before attempts had names. */
  key: string | null;
}

const VERSION = 2;
/** Its keys are the ids of the uploads. */
const VERSION_WITHOUT_KEY = 1;
/** There are no other bytes of which an object could be without a tail. */
const NONCE_OF_NOTHING = '0'.repeat(12);
/** The last letters of a tail's key, see `Keys`. */
const NONCE_LENGTH = 12;

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
  if (version === VERSION_WITHOUT_KEY) return { ...state, key: null };
  if (version !== VERSION) throw new StoreError('failed', `state of an upload in an unknown version: ${text}`);
  return state;
}

/** Whether an attempt has its key already: then there is no other. */
export function hasKey(state: UploadState | null): boolean {
  return state !== null && (state.whole || state.multipart !== null);
}

/**
 * The key of the upload's object by its row. Where it is still to be made of the tail, the tail's own name is in it: of
 * other bytes there is another tail, and so another key.
 */
export function finalKeyOf(keys: Keys, id: string, state: UploadState | null): string {
  if (hasKey(state)) return state?.key ?? keys.final(id, null);
  return keys.final(id, state?.tail?.key.slice(-NONCE_LENGTH) ?? NONCE_OF_NOTHING);
}
