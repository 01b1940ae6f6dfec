/** Completes a multipart upload exactly once, even where the answer is lost. */
import { StoreError } from '../store.ts';
import { type Asked, askOverTime, isMissing } from './ask.ts';
import { codeOf, describe, toStoreError } from './errors.ts';
import { bare } from './multiparts.ts';
import type { Objects } from './objects.ts';
import { callWithRetries } from './retry.ts';
import type { SentPart } from './storing.ts';

/** The parts differ from those in the ledger, so something else must have changed them. */
const DAMAGED = new Set(['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall']);
const TIMEOUT_MS = 300_000;
const WITHIN_MS = 180_000;

/** The multipart upload, and the object it becomes. */
export interface Completion {
  key: string;
  uploadId: string;
  size: number;
  multipart: string;
  parts: readonly SentPart[];
  /** Whether its parts are smaller than the provider takes for certain. */
  isSmall: boolean;
}

/**
 * Completes a multipart upload. When the answer is lost, is an error, or is NoSuchUpload after an earlier success, the
 * object under the key decides.
 *
 * @throws StoreError `unavailable` when the bucket takes no parts as small as these; `missing` when neither the parts nor the object exist.
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
  const { key, multipart, parts, isSmall } = completion;

  async function attempt(): Promise<void> {
    try {
      await objects.complete(key, multipart, parts);
    } catch (error) {
      if (await isThere(objects, completion)) return;
      const cause = error instanceof StoreError ? (error.cause ?? error) : error;
      // RGW 16 answers InternalError while another call completes it, and also once the multipart upload is gone.
      if (codeOf(cause) === 'InternalError' && (await objects.isMultipartGone(key, multipart))) {
        // The other call may have completed it meanwhile: the object appears before the multipart upload disappears.
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
    // They stay, and are completed once the operator of the bucket allows it.
    if (isSmall && codeOf(error) === 'EntityTooSmall') {
      throw new StoreError('unavailable', `completing ${key}: ${describe(error)}`, error);
    }
    if (DAMAGED.has(codeOf(error))) {
      return { evidence: codeOf(error), isSure: await areOthers(objects, completion) };
    }
    const translated = toStoreError(error, `completing ${key}`);
    if (translated.code !== 'missing') throw translated;
    return { evidence: 'its parts are gone', isSure: (await objects.isMultipartThere(key, multipart)) !== true };
  }
}

/** Whether the bucket's parts differ from those in the ledger; true where parts cannot be listed. */
async function areOthers(objects: Objects, { key, multipart, parts }: Completion): Promise<boolean> {
  const listed = await objects.listParts(key, multipart);
  if (listed === undefined) return true;
  const etags = new Map(listed.map(({ number, etag }) => [number, bare(etag)]));
  return parts.some(({ number, etag }) => etags.get(number) !== bare(etag));
}

/** Whether the key has the whole object of this upload. */
export async function isThere(
  objects: Objects,
  { key, uploadId, size }: Pick<Completion, 'key' | 'uploadId' | 'size'>,
): Promise<boolean> {
  const found = await objects.head(key);
  return found?.size === size && found.uploadId === uploadId;
}

/**
 * Makes sure that the key has the whole object of this upload.
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

/** Whether an object of this size can be opened, whatever HEAD answers. */
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
