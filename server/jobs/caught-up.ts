/** Lets a request by SHA-1 wait for those of its owner's contents that are still to be computed, here or by another node. */
import type { ContentRecord } from '../catalog/catalog.ts';
import { linkSignals } from '../uploads/signals.ts';
import type { Pauses } from './digests.ts';
import type { DueDigests } from './due-digests.ts';
import type { Sha1Parts } from './sha1.ts';

/** How long a request by SHA-1 waits for those of the contents of its owner. */
const PATIENCE_MS = 5_000;
/** A request looks five times a second whether another node has computed them. */
const LOOK_MS = 1_000 / 5;
/** A request waits for those of its owner's contents that are among so many of the newest without SHA-1. */
const MOST_AWAITED = 256;

/** Prepares `LaterDigests.caughtUp`. @param unreadable - contents that are not waited for. */
export function createCaughtUp(
  { catalog, stopping, surroundings }: Sha1Parts,
  due: DueDigests,
  pauses: Pauses,
  unreadable: ReadonlySet<number>,
): (owner: string) => Promise<void> {
  const looks = createLooks((owner) => catalog.listOwnWithoutSha1(owner, MOST_AWAITED));
  /** By owner, the pause that its waiting requests share, so that they look together. */
  const shared = new Map<string, Promise<void>>();

  function pause(owner: string): Promise<void> {
    const begun = shared.get(owner);
    if (begun) return begun;
    const waiting = surroundings
      .wait(LOOK_MS, { signal: stopping, ref: false })
      .catch(() => undefined)
      .then(() => void shared.delete(owner));
    shared.set(owner, waiting);
    return waiting;
  }

  async function caughtUp(owner: string): Promise<void> {
    const patience = new AbortController();
    const { signal, unlink } = linkSignals(patience.signal, stopping);
    const timer = surroundings.setTimeout(() => patience.abort(), PATIENCE_MS);
    /** Contents that had their turn here since the last look: another node is at them. */
    const tried = new Set<number>();
    try {
      while (!signal.aborted) {
        await noneIsDue(owner, signal);
        const lacking = await looks(owner);
        const awaited = lacking.filter(({ id }) => !unreadable.has(id));
        if (awaited.length === 0) return;
        const left = awaited.filter(({ id }) => !tried.has(id));
        for (const content of left) due.adopt({ content, owner });
        for (const { id } of left) tried.add(id);
        pauses.wake();
        if (left.length > 0 && due.isDue(owner)) continue;
        await pause(owner);
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

/**
 * Lets all who ask for one owner share a look that has not begun yet, while another one goes on: however many requests of an owner
 * wait, one look of theirs is at the catalog.
 */
function createLooks(look: (owner: string) => Promise<ContentRecord[]>): (owner: string) => Promise<ContentRecord[]> {
  const running = new Map<string, Promise<ContentRecord[]>>();
  const coming = new Map<string, Promise<ContentRecord[]>>();

  function begin(owner: string): Promise<ContentRecord[]> {
    coming.delete(owner);
    const begun = look(owner).finally(() => {
      if (running.get(owner) === begun) running.delete(owner);
    });
    running.set(owner, begun);
    return begun;
  }

  return (owner) => {
    const now = running.get(owner);
    if (!now) return begin(owner);
    const next = coming.get(owner) ?? now.catch(() => undefined).then(() => begin(owner));
    coming.set(owner, next);
    return next;
  };
}
