/** Somebody else sends the very same bytes: whether it is worth while to watch them come in. */

export const LOOK_INTERVAL_MS = 1000;
/** After so long without a new byte another sender counts as gone. */
const SILENT_MS = 15_000;
/** A folder records what came every 10 s at least: a single record does not show a rate. */
const JUDGED_AFTER_MS = 20_000;
/** What would take longer is not waited for: a trickle must not keep anyone from sending at full speed. */
const MOST_TIME_LEFT_MS = 2 * 60_000;
const MOST_WATCHED_MS = 10 * 60_000;

/** `silent`: the upload is free to be gone on with. `slow`: an upload of one's own is the better choice. */
export type Verdict = 'moving' | 'silent' | 'slow';

/**
 * To be told how the other's upload stands at each look.
 *
 * @param offset - as the service says it: what is stored. A bucket stores whole parts.
 * @param idleSeconds - since the last byte came, stored or not; undefined where the service does not say.
 */
export type Watch = (offset: number, idleSeconds: number | undefined) => Verdict;

/**
 * @param size - of the whole upload; null while nobody knows.
 */
export function watchOtherSender(size: number | null): Watch {
  const beganAt = performance.now();
  let firstOffset: number | null = null;
  let lastOffset = -1;
  let movedAt = beganAt;

  return (offset, idleSeconds = Infinity) => {
    const now = performance.now();
    firstOffset ??= offset;
    if (offset > lastOffset) movedAt = now;
    lastOffset = Math.max(lastOffset, offset);
    if (now - movedAt > SILENT_MS && idleSeconds * 1000 >= SILENT_MS) return 'silent';
    const watchedMs = now - beganAt;
    if (watchedMs > MOST_WATCHED_MS) return 'slow';
    if (watchedMs < JUDGED_AFTER_MS || size === null) return 'moving';
    // Bytes come, but have not yet made up what a bucket takes at once: they show no rate.
    if (lastOffset === firstOffset && watchedMs < MOST_TIME_LEFT_MS) return 'moving';
    const bytesPerMs = (lastOffset - firstOffset) / watchedMs;
    return size - lastOffset > bytesPerMs * MOST_TIME_LEFT_MS ? 'slow' : 'moving';
  };
}
