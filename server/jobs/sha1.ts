/** The SHA-1 of one stored content, computed by one node. */
import { createHash } from 'node:crypto';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord } from '../catalog/catalog.ts';
import type { Parts } from '../uploads/parts.ts';

export type Sha1Parts = Pick<Parts, 'catalog' | 'store' | 'leases' | 'log' | 'stopping' | 'surroundings'>;

/** Called during the work on one content, with the time worked since the last call; resolves when the work may continue. */
export type Pace = (workedMs: number) => Promise<void>;

/** Even the largest content from a slow store takes less. If one took longer, two nodes would compute the same. */
const CLAIMED_FOR_MS = 6 * 3_600_000;

/** The main thread hashes for about this long between two calls of `Pace`. */
const WORK_MS = 2;

/**
 * - `known`: the SHA-1 is recorded.
 * - `elsewhere`: another node computes it.
 * - `unreadable`: the bytes are gone, or not those that were published.
 * - `stopped`: the service stops.
 */
export type Sha1Outcome = 'known' | 'elsewhere' | 'unreadable' | 'stopped';

/** Computes and records the SHA-1 of a content, unless another node does. Returns early when the service stops. */
export async function completeSha1(parts: Sha1Parts, content: ContentRecord, pace: Pace): Promise<Sha1Outcome> {
  const { catalog, leases } = parts;
  const claim = `SHA-1 of content ${content.id}`;
  if (!(await catalog.claim(claim, leases.node, CLAIMED_FOR_MS))) return 'elsewhere';
  try {
    return await compute(parts, content, pace);
  } finally {
    await catalog.unclaim(claim, leases.node);
  }
}

async function compute(parts: Sha1Parts, { id, key, md5 }: ContentRecord, pace: Pace): Promise<Sha1Outcome> {
  const { catalog, store, log, stopping, surroundings } = parts;
  const sha1 = createHash('sha1');
  // Bytes that were damaged in the store must not get a SHA-1.
  const found = createHash('md5');
  let workedMs = 0;
  try {
    const bytes = await store.readContent(key, undefined, stopping);
    for await (const chunk of bytes) {
      if (stopping.aborted) return 'stopped';
      const startedAt = surroundings.elapsedMs();
      sha1.update(chunk as Uint8Array);
      found.update(chunk as Uint8Array);
      workedMs += surroundings.elapsedMs() - startedAt;
      if (workedMs < WORK_MS) continue;
      await pace(workedMs);
      workedMs = 0;
    }
  } catch (error) {
    // Deleted meanwhile, or lost: the next download reports it.
    if (error instanceof StoreError && error.code === 'missing') return 'unreadable';
    throw error;
  }
  if (found.digest('hex') !== md5) {
    log.error({ key }, 'the stored bytes of a content are not those that were published');
    return 'unreadable';
  }
  await catalog.addDigests(id, { sha1: sha1.digest('hex') });
  return 'known';
}
