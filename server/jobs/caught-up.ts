/** Lets a request by SHA-1 wait for those of its owner's contents that are still to be computed, here or by another node. */
import { linkSignals } from '../uploads/signals.ts';
import type { Pauses } from './digests.ts';
import type { DueDigests } from './due-digests.ts';
import type { Sha1Parts } from './sha1.ts';

/** How long a request by SHA-1 waits for those of the contents of its owner. */
const PATIENCE_MS = 5_000;
/** How often a request looks whether another node has computed them. */
const LOOK_MS = 200;
/** A request waits for those of its owner's contents that are among so many of the newest without SHA-1. */
const MOST_AWAITED = 256;

/** Prepares `LaterDigests.caughtUp`. @param unreadable - contents that are not waited for. */
export function createCaughtUp(
  { catalog, stopping, surroundings }: Sha1Parts,
  due: DueDigests,
  pauses: Pauses,
  unreadable: ReadonlySet<number>,
): (owner: string) => Promise<void> {
  async function caughtUp(owner: string): Promise<void> {
    const patience = new AbortController();
    const { signal, unlink } = linkSignals(patience.signal, stopping);
    const timer = surroundings.setTimeout(() => patience.abort(), PATIENCE_MS);
    /** Contents that had their turn here since the last look: another node is at them. */
    const tried = new Set<number>();
    try {
      while (!signal.aborted) {
        await noneIsDue(owner, signal);
        const lacking = await catalog.listOwnWithoutSha1(owner, MOST_AWAITED);
        const awaited = lacking.filter(({ id }) => !unreadable.has(id));
        if (awaited.length === 0) return;
        const left = awaited.filter(({ id }) => !tried.has(id));
        for (const content of left) due.adopt({ content, owner });
        for (const { id } of left) tried.add(id);
        pauses.wake();
        if (left.length > 0 && due.isDue(owner)) continue;
        await surroundings.wait(LOOK_MS, { signal, ref: false }).catch(() => undefined);
        tried.clear();
      }
    } finally {
      surroundings.clearTimeout(timer);
      unlink();
    }
  }

  /** Resolves once no recent content of this owner is due, or the signal is aborted. */
  async function noneIsDue(owner: string, signal: AbortSignal): Promise<void> {
    if (!due.isDue(owner) || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const leave = due.waitFor(owner, done);
      signal.addEventListener('abort', done);
      pauses.hurry();
      function done(): void {
        signal.removeEventListener('abort', done);
        leave();
        resolve();
      }
    });
  }

  return caughtUp;
}
