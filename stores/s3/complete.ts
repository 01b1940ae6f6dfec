/** Completes a multipart upload exactly once, also where the answer is lost. */
import { StoreError } from '../store.ts';
import { type Asked, askOverTime, isMissing } from './ask.ts';
import { codeOf, toStoreError } from './errors.ts';
import { bare } from './multiparts.ts';
import type { Objects } from './objects.ts';
import { callWithRetries } from './retry.ts';
import type { SentPart } from './storing.ts';

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
  await askOverTime(
    objects.surroundings,
    `completing ${completion.key}`,
    () => completeOnce(objects, completion, closing),
    closing,
  );
}

async function completeOnce(objects: Objects, completion: Completion, closing: AbortSignal): Promise<Asked<true>> {
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
    await callWithRetries(attempt, {
      timeoutMs: TIMEOUT_MS,
      withinMs: WITHIN_MS,
      signal: closing,
      surroundings: objects.surroundings,
    });
    return { found: true };
  } catch (error) {
    if (DAMAGED.has(codeOf(error))) {
      return { evidence: codeOf(error), isSure: await areOthers(objects, completion) };
    }
    const translated = toStoreError(error, `completing ${key}`);
    if (translated.code !== 'missing') throw translated;
    return { evidence: 'its parts are gone', isSure: (await objects.isMultipartThere(key, multipart)) !== true };
  }
}

/** Whether the parts that are there are others than those of the ledger; true where nobody can tell. */
async function areOthers(objects: Objects, { key, multipart, parts }: Completion): Promise<boolean> {
  const listed = await objects.listParts(key, multipart);
  if (listed === undefined) return true;
  const etags = new Map(listed.map(({ number, etag }) => [number, bare(etag)]));
  return parts.some(({ number, etag }) => etags.get(number) !== bare(etag));
}

/** Whether the object of this upload is under its key, whole. */
export async function isThere(
  objects: Objects,
  { key, uploadId, size }: Pick<Completion, 'key' | 'uploadId' | 'size'>,
): Promise<boolean> {
  const found = await objects.head(key);
  return found?.size === size && found.uploadId === uploadId;
}

/**
 * Makes sure that the object of an upload is under its key, whole.
 *
 * @throws StoreError `missing` when it is not.
 */
export async function requireThere(
  objects: Objects,
  object: Pick<Completion, 'key' | 'uploadId' | 'size'>,
  closing: AbortSignal,
): Promise<void> {
  const { key, size } = object;
  await askOverTime(
    objects.surroundings,
    `looking for ${key}`,
    async () => {
      if (await isThere(objects, object)) return { found: true };
      return { evidence: `no object of ${size} bytes`, isSure: !(await canBeRead(objects, object)) };
    },
    closing,
  );
}

/** Whether an object of this size can be opened, whatever HEAD says of it. */
async function canBeRead(objects: Objects, { key, size }: Pick<Completion, 'key' | 'size'>): Promise<boolean> {
  try {
    const { body, length } = await objects.get(key);
    body.destroy();
    return length === size;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
