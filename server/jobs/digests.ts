/**
 * SHA-1 of contents, computed after they were published: beside MD5 it would make one stream half as
 * fast. What has just been published comes first, older contents follow. See docs/decisions/0027-sha1-later.md.
 */
import { createHash } from 'node:crypto';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord } from '../catalog/catalog.ts';
import type { LaterDigests, NotedFile, SoughtFile } from '../uploads/later-digests.ts';
import type { Parts } from '../uploads/parts.ts';
import { linkSignals } from '../uploads/signals.ts';

/** More than these are found in the catalog when their turn comes. */
const MOST_RECENT = 10_000;
/** Of the time, what this takes: a tenth. Uploads and downloads go first. */
const REST_FACTOR = 9;
const LONGEST_REST_MS = 10_000;
/** The largest content takes less, also from a slow store; longer than that, and two nodes compute the same. */
const CLAIMED_FOR_MS = 6 * 3_600_000;
/** After the last look at older contents, for those that could not be read. */
const LOOK_AGAIN_MS = 3_600_000;
/** How long somebody who asks by a SHA-1 waits for those of what they have just sent. */
const PATIENCE_MS = 3_000;

export function createLaterDigests(
  parts: Pick<Parts, 'catalog' | 'store' | 'leases' | 'log' | 'stopping' | 'surroundings'>,
  { mostRecent = MOST_RECENT, lookAgainMs = LOOK_AGAIN_MS } = {},
): LaterDigests {
  const { catalog, store, log, stopping, surroundings } = parts;
  /** By content and owner. */
  const recent = new Map<string, { content: ContentRecord; owner: string }>();
  /**
   * Owners for whose files there was no room among the recent ones, and when the first of these was uploaded.
   * Files uploaded since are shown without SHA-1 until a pass over the older contents, which finds those that lack one, has ended.
   */
  const crowdedOut = new Map<string, number>();
  /** Those of them for whom the look that is under way was begun. */
  let lookedFor = new Set<string>();
  const waiters = new Set<{ owner: string; resolve: () => void }>();
  let wake = new AbortController();
  let hurry = new AbortController();

  function note({ content, owner, uploadedAt }: NotedFile): void {
    if (recent.size < mostRecent) recent.set(keyOf(content, owner), { content, owner });
    else {
      crowdedOut.set(owner, Math.min(uploadedAt, crowdedOut.get(owner) ?? Infinity));
      lookedFor.delete(owner);
    }
    wake.abort();
  }

  function isPending({ content, owner, uploadedAt }: SoughtFile): boolean {
    return recent.has(keyOf(content, owner)) || uploadedAt >= (crowdedOut.get(owner) ?? Infinity);
  }

  function isDue(owner: string): boolean {
    for (const entry of recent.values()) if (entry.owner === owner) return true;
    return false;
  }

  async function caughtUp(owner: string): Promise<void> {
    if (!isDue(owner)) return;
    const over = new AbortController();
    await new Promise<void>((resolve) => {
      const waiter = { owner, resolve };
      waiters.add(waiter);
      hurry.abort();
      void surroundings
        .wait(PATIENCE_MS, { signal: over.signal, ref: false })
        .catch(() => undefined)
        .then(resolve)
        .finally(() => waiters.delete(waiter));
    });
    over.abort();
  }

  async function run(): Promise<void> {
    /** The content looked at last; null when there is none left. */
    let after: number | null = 0;
    let lookAgainAt = Infinity;
    while (!stopping.aborted) {
      const startedAt = surroundings.elapsedMs();
      let leastRestMs = 0;
      try {
        if (!(await takeRecent()) && after !== null) {
          after = await takeOlder(after);
          if (after === null) {
            lookAgainAt = surroundings.elapsedMs() + lookAgainMs;
            for (const owner of lookedFor) crowdedOut.delete(owner);
          }
        }
      } catch (error) {
        if (!stopping.aborted) log.warn({ err: error }, 'the SHA-1 of contents could not be computed');
        leastRestMs = LONGEST_REST_MS;
      }
      if (waiters.size > 0 && recent.size > 0) continue;
      if (after === null && (crowdedOut.size > 0 || surroundings.elapsedMs() >= lookAgainAt)) {
        after = 0;
        lookedFor = new Set(crowdedOut.keys());
      }
      const isIdle = after === null && recent.size === 0;
      const restMs = Math.min(LONGEST_REST_MS, (surroundings.elapsedMs() - startedAt) * REST_FACTOR);
      await rest(isIdle ? lookAgainAt - surroundings.elapsedMs() : Math.max(leastRestMs, restMs), recent.size === 0);
    }
  }

  /** Ends early when somebody waits. @param orForRecent - or when there is something new to do. */
  async function rest(durationMs: number, orForRecent: boolean): Promise<void> {
    wake = new AbortController();
    hurry = new AbortController();
    const asked = linkSignals(stopping, hurry.signal);
    const signal = orForRecent ? linkSignals(asked.signal, wake.signal) : asked;
    await surroundings.wait(durationMs, { signal: signal.signal, ref: false }).catch(() => undefined);
    signal.unlink();
    asked.unlink();
  }

  async function takeRecent(): Promise<boolean> {
    // Those first for which somebody waits.
    const asked = new Set([...waiters].map(({ owner }) => owner));
    const entries = [...recent.values()];
    const next = entries.find(({ owner }) => asked.has(owner)) ?? entries[0];
    if (!next) return false;
    try {
      await complete(next.content);
    } finally {
      recent.delete(keyOf(next.content, next.owner));
      for (const { owner, resolve } of waiters) if (!isDue(owner)) resolve();
    }
    return true;
  }

  /** One more of the contents without SHA-1; where it stands now, null at their end. */
  async function takeOlder(after: number): Promise<number | null> {
    const [content] = await catalog.listWithoutSha1(after, 1);
    if (!content) return null;
    await complete(content).catch((error: unknown) => {
      if (!stopping.aborted) log.warn({ key: content.key, err: error }, 'a content has no SHA-1 yet');
    });
    return content.id;
  }

  /** Computes the SHA-1 of a content, unless another node does. */
  async function complete(content: ContentRecord): Promise<void> {
    const claim = `SHA-1 of content ${content.id}`;
    if (!(await catalog.claim(claim, parts.leases.node, CLAIMED_FOR_MS))) return;
    try {
      await compute(content);
    } finally {
      await catalog.unclaim(claim, parts.leases.node);
    }
  }

  async function compute({ id, key, md5 }: ContentRecord): Promise<void> {
    const sha1 = createHash('sha1');
    // What has rotted must not get a SHA-1 of its own.
    const found = createHash('md5');
    try {
      const bytes = await store.readContent(key, undefined, stopping);
      for await (const chunk of bytes) {
        if (stopping.aborted) return;
        sha1.update(chunk as Uint8Array);
        found.update(chunk as Uint8Array);
      }
    } catch (error) {
      // Deleted meanwhile, or lost: the next download reports it.
      if (error instanceof StoreError && error.code === 'missing') return;
      throw error;
    }
    if (found.digest('hex') !== md5) {
      log.error({ key }, 'the stored bytes of a content are not those that were published');
      return;
    }
    await catalog.addDigests(id, { sha1: sha1.digest('hex') });
  }

  return { isOn: true, note, isPending, caughtUp, run };
}

function keyOf({ id }: Pick<ContentRecord, 'id'>, owner: string): string {
  return `${id} ${owner}`;
}
