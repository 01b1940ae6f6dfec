/** Whether the bytes of a content are in the store, and are what its row says. */
import type { Readable } from 'node:stream';
import type { DigestAlgorithm, DigestSet } from '../../stores/digests/digests.ts';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord } from '../catalog/catalog.ts';
import type { Parts } from './parts.ts';

/** A line or a memory module may turn a bit on the way from a disk that is right. */
const LOOKS = 2;

/**
 * Whether its bytes are there, with the right size.
 *
 * @throws StoreError `unavailable` when that cannot be found out now.
 */
export async function hasBytes(parts: Parts, content: ContentRecord): Promise<boolean> {
  const found = await parts.store.contentSize(content.key);
  if (found === content.size) return true;
  await reportLost(parts, content, { found });
  return false;
}

/** Opens its bytes; undefined when they are gone or have another size. */
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
 * Tells the log, unless the content was deleted meanwhile, or healed under another key.
 *
 * @returns what the catalog now says of it.
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
 * Reads its bytes and computes their digests.
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

/** Digests of all that a stream delivers; ends early, with its reason, when the service stops. */
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
