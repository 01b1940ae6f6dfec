/** Putting the parts together, exactly once, whatever becomes of the answer. */
import { StoreError } from '../store.ts';
import { codeOf, toStoreError } from './errors.ts';
import type { Objects, SentPart } from './objects.ts';
import { callWithRetries } from './retry.ts';

/** Parts that are not what the ledger says, which only another hand can have done. */
const DAMAGED = new Set(['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall']);
const TIMEOUT_MS = 300_000;
const WITHIN_MS = 180_000;

export interface Completion {
  key: string;
  uploadId: string;
  size: number;
  multipart: string;
  parts: readonly SentPart[];
}

/**
 * Completes a multipart upload. An answer that was lost, an error in its place or
 * NoSuchUpload after an earlier success: what is under the key decides.
 *
 * @throws StoreError `missing` when neither the parts nor the object are there.
 */
export async function completeUpload(objects: Objects, completion: Completion, closing: AbortSignal): Promise<void> {
  const { key, multipart, parts } = completion;

  async function attempt(): Promise<void> {
    try {
      await objects.complete(key, multipart, parts);
    } catch (error) {
      if (await isThere(objects, completion)) return;
      const cause = error instanceof StoreError ? (error.cause ?? error) : error;
      // RGW 16 answers so while another call completes it, and also once the multipart upload is gone.
      if (codeOf(cause) === 'InternalError' && (await objects.isMultipartGone(key, multipart))) {
        // Completed by the other call meanwhile: the object is there before the multipart upload goes.
        if (await isThere(objects, completion)) return;
        throw new StoreError('missing', `completing ${key}: its parts are gone`, cause);
      }
      throw cause;
    }
  }

  try {
    await callWithRetries(attempt, { timeoutMs: TIMEOUT_MS, withinMs: WITHIN_MS, signal: closing });
  } catch (error) {
    if (DAMAGED.has(codeOf(error))) throw new StoreError('missing', `completing ${key}: ${codeOf(error)}`, error);
    throw toStoreError(error, `completing ${key}`);
  }
}

/** Whether the object of this upload is under its key, whole. */
export async function isThere(
  objects: Objects,
  { key, uploadId, size }: Pick<Completion, 'key' | 'uploadId' | 'size'>,
): Promise<boolean> {
  const found = await objects.head(key);
  return found?.size === size && found.uploadId === uploadId;
}
