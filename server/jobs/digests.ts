/**
 * Computes the SHA-1 of contents after they were published: computed beside MD5, it would halve the speed of a stream.
 * Contents published recently come first, then older ones. See docs/decisions/0027-sha1-later.md.
 */
import type { LaterDigests, NotedFile } from '../uploads/later-digests.ts';
import { linkSignals } from '../uploads/signals.ts';
import { createCaughtUp } from './caught-up.ts';
import { createDueDigests, type DueDigests } from './due-digests.ts';
import { completeSha1, type Pace, type Sha1Outcome, type Sha1Parts } from './sha1.ts';

/** How many contents are remembered as recent. A pass over the catalog finds the others. */
const MOST_RECENT = 10_000;
/** The job rests this many times as long as it worked, so that downloads come first. */
const REST_FACTOR = 9;
const LONGEST_REST_MS = 10_000;
/** The same while this node receives uploads: the job takes at most a hundredth of a core from them. */
const BUSY_REST_FACTOR = 99;
const LONGEST_BUSY_REST_MS = 60_000;
/** From the end of a pass over the older contents to the next one, which retries those that could not be read. */
const LOOK_AGAIN_MS = 3_600_000;
/**
 * Prepares the computation; `run` does it.
 *
 * @param takesOlder - whether `run` also passes over the older contents of the whole catalog; one node is enough for that.
 */
export function createLaterDigests(
  parts: Sha1Parts,
  { takesOlder = true, mostRecent = MOST_RECENT, lookAgainMs = LOOK_AGAIN_MS } = {},
): LaterDigests {
  const { log, stopping, surroundings } = parts;
  const due = createDueDigests(mostRecent);
  /** Contents that could not be read since the last pass over all of them began, or the latest of these. */
  const unreadable = new Set<number>();
  const pauses = createPauses(parts);

  function note(file: NotedFile): void {
    due.note(file);
    pauses.wake();
  }

  async function run(isReceiving: () => boolean): Promise<void> {
    // Rests during the work on one content, too, unless a request waits.
    const pace: Pace = async (workedMs) => {
      if (isReceiving() && !due.isAwaited) await pauses.rest(restAfter(workedMs, true), false);
    };
    /** The id of the older content that was read last; null when the pass has ended. */
    let after: number | null = takesOlder ? 0 : null;
    let lookAgainAt = Infinity;
    while (!stopping.aborted) {
      const startedAt = surroundings.elapsedMs();
      let leastRestMs = 0;
      try {
        if (!(await takeRecent(parts, { due, unreadable, mostRecent }, pace)) && after !== null) {
          if (after === 0) unreadable.clear();
          after = await takeOlder(parts, after, pace);
          if (after === null) {
            if (takesOlder) lookAgainAt = surroundings.elapsedMs() + lookAgainMs;
            due.endPass();
          }
        }
      } catch (error) {
        if (!stopping.aborted) log.warn({ err: error }, 'the SHA-1 of contents could not be computed');
        leastRestMs = LONGEST_REST_MS;
      }
      if (due.isAwaited && due.hasRecent) continue;
      if (after === null && (due.hasCrowdedOut || surroundings.elapsedMs() >= lookAgainAt)) {
        after = 0;
        due.beginPass();
      }
      const isIdle = after === null && !due.hasRecent;
      const restMs = restAfter(surroundings.elapsedMs() - startedAt, isReceiving());
      await pauses.rest(
        isIdle ? Math.min(lookAgainMs, lookAgainAt - surroundings.elapsedMs()) : Math.max(leastRestMs, restMs),
        !due.hasRecent,
      );
    }
  }

  const caughtUp = createCaughtUp(parts, due, pauses, unreadable);
  return { isOn: true, note, isPending: due.isPending, caughtUp, run };
}

function restAfter(workedMs: number, isReceiving: boolean): number {
  return isReceiving
    ? Math.min(LONGEST_BUSY_REST_MS, workedMs * BUSY_REST_FACTOR)
    : Math.min(LONGEST_REST_MS, workedMs * REST_FACTOR);
}

/** Computes the SHA-1 of one recently published content. @returns whether there was one. */
async function takeRecent(
  parts: Sha1Parts,
  { due, unreadable, mostRecent }: { due: DueDigests; unreadable: Set<number>; mostRecent: number },
  pace: Pace,
): Promise<boolean> {
  const next = due.next();
  if (!next) return false;
  let outcome: Sha1Outcome = 'unreadable';
  try {
    outcome = await completeSha1(parts, next.content, pace);
  } finally {
    // Before those that wait are told.
    if (outcome === 'unreadable') {
      if (unreadable.size >= mostRecent) unreadable.clear();
      unreadable.add(next.content.id);
    }
    due.done(next);
  }
  return true;
}

/** Computes the SHA-1 of the next content that lacks it. @returns its id, from which the pass continues; null at the end. */
async function takeOlder(parts: Sha1Parts, after: number, pace: Pace): Promise<number | null> {
  const [content] = await parts.catalog.listWithoutSha1(after, 1);
  if (!content) return null;
  await completeSha1(parts, content, pace).catch((error: unknown) => {
    if (!parts.stopping.aborted) parts.log.warn({ key: content.key, err: error }, 'a content has no SHA-1 yet');
  });
  return content.id;
}

/** The rests between two units of work, and what ends them early. */
export interface Pauses {
  rest(durationMs: number, orForRecent: boolean): Promise<void>;
  /** A content was published: ends a rest with `orForRecent`. */
  wake(): void;
  /** A request waits: ends any rest. */
  hurry(): void;
}

function createPauses({ stopping, surroundings }: Sha1Parts): Pauses {
  let woken = new AbortController();
  let hurried = new AbortController();
  return {
    rest: async (durationMs, orForRecent) => {
      woken = new AbortController();
      hurried = new AbortController();
      const asked = linkSignals(stopping, hurried.signal);
      const signal = orForRecent ? linkSignals(asked.signal, woken.signal) : asked;
      await surroundings.wait(durationMs, { signal: signal.signal, ref: false }).catch(() => undefined);
      signal.unlink();
      asked.unlink();
    },
    wake: () => {
      // Called for each file. An abort makes an error with its stack, also where the signal is aborted already.
      if (!woken.signal.aborted) woken.abort();
    },
    hurry: () => hurried.abort(),
  };
}
