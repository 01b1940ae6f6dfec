/** Checks whether the bytes of a content are in the store, and are what its row says. */
import type { Readable } from 'node:stream';
import type { DigestAlgorithm, DigestSet } from '../../stores/digests/digests.ts';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord } from '../catalog/catalog.ts';
import type { Parts } from './parts.ts';

/** How often bytes are read before they count as damaged: a network or a memory module may flip a bit of sound bytes. */
const LOOKS = 2;

/**
 * Whether the store has the content's bytes, with the right size.
 *
 * @throws StoreError `unavailable` when the store cannot say now.
 */
export async function hasBytes(parts: Parts, content: ContentRecord): Promise<boolean> {
  const found = await parts.store.contentSize(content.key);
  if (found === content.size) return true;
  await reportLost(parts, content, { found });
  return false;
}

/** Opens a content's bytes; undefined when they are gone or have another size. */
export async function openStored(parts: Parts, content: ContentRecord): Promise<Readable | undefined> {
  try {
    return await parts.store.readContent(content.key, undefined, undefined, content.size);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'missing')) throw error;
    await reportLost(parts, content, { err: error });
    return undefined;
  }
}

/**
 * Logs that bytes are gone, unless the content was deleted meanwhile, or healed under another key.
 *
 * @returns the content's row as it is now; undefined where it was deleted.
 */
export async function reportLost(
  { catalog, log }: Parts,
  { id, md5, key, size }: ContentRecord,
  found: object,
): Promise<ContentRecord | undefined> {
  const now = (await catalog.findContents({ md5 })).find((content) => content.id === id);
  if (now?.key === key)
    log.error({ contentId: id, key, size, ...found }, 'bytes of a content are gone, or not all there');
  return now;
}

/**
 * Reads a content's bytes and computes their digests, MD5 among them.
 *
 * @returns undefined when they are gone, or no longer have the content's MD5.
 */
export async function digestStored(
  parts: Parts,
  content: ContentRecord,
  algorithms: readonly DigestAlgorithm[] = [],
): Promise<DigestSet | undefined> {
  for (let look = 1; look <= LOOKS; look++) {
    const stream = await openStored(parts, content);
    if (!stream) return undefined;
    const digests = await digestStream(parts, stream, ['md5', ...algorithms]);
    if (digests.md5 === content.md5) return digests;
    const { id, key, md5 } = content;
    parts.log.error({ contentId: id, key, md5, found: digests.md5 }, 'bytes of a content are damaged');
  }
  return undefined;
}

/** Computes the digests of a stream. @throws the reason of `stopping` when the service stops. */
export async function digestStream(
  parts: Pick<Parts, 'digests' | 'stopping'>,
  stream: Readable,
  algorithms: readonly DigestAlgorithm[],
): Promise<DigestSet> {
  const lane = parts.digests.open(null, algorithms);
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      parts.stopping.throwIfAborted();
      await lane.update([chunk]);
    }
    return await lane.digests();
  } finally {
    lane.close();
    stream.destroy();
  }
}
