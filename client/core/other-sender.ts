/** Whether a client waits for another one that is sending the very same bytes, or sends them itself. */

/** How often the command looks while another client is sending. */
export const LOOK_INTERVAL_MS = 1_000;
/** Another sender counts as gone after so long without a new byte. */
const SILENT_MS = 15_000;
/** The local store commits an offset every 10 s at least: the rate shows only across two commits. */
const JUDGED_AFTER_MS = 20_000;
/** The longest remaining time that is worth waiting for: a trickle must not keep a client from sending at full speed. */
const MOST_TIME_LEFT_MS = 2 * 60_000;
/** The longest time that a client waits in all. */
const MOST_WATCHED_MS = 10 * 60_000;
/**
 * The watch begins again after so long without a look: the client was not waiting for this upload meanwhile. Much longer
 * than the interval between looks, so that slow answers do not restart it, which would keep a trickle from being judged.
 */
const UNWATCHED_AFTER_MS = 30_000;

/** `moving`: wait on. `silent`: no client sends to that upload any more. `slow`: a new upload would be done sooner. */
export type WatchVerdict = 'moving' | 'silent' | 'slow';

/**
 * Judges the other upload at each look.
 *
 * @param nowMs - time of a monotonic clock.
 * @param offset - the offset that the service reports: what is stored. A store in a bucket stores whole parts.
 * @param idleSeconds - time since the last byte arrived, stored or not; undefined where the service does not report it.
 */
export type Watch = (nowMs: number, offset: number, idleSeconds: number | undefined) => WatchVerdict;

/**
 * Begins to watch an upload of another client.
 *
 * @param createdAtMs - now, by the clock of `nowMs`.
 * @param size - of the whole upload in bytes; null while it is not known.
 */
export function watchOtherSender(createdAtMs: number, size: number | null): Watch {
  let beganAtMs = createdAtMs;
  let lookedAtMs = createdAtMs;
  let movedAtMs = createdAtMs;
  let firstOffset: number | null = null;
  let lastOffset = -1;

  return (nowMs, offset, idleSeconds = Infinity) => {
    // `movedAtMs` is kept: `silent` needs no continuous watch, only that no byte has come since.
    if (nowMs - lookedAtMs > UNWATCHED_AFTER_MS) [beganAtMs, firstOffset] = [nowMs, null];
    lookedAtMs = nowMs;
    firstOffset ??= offset;
    if (offset > lastOffset) movedAtMs = nowMs;
    lastOffset = Math.max(lastOffset, offset);
    if (nowMs - movedAtMs > SILENT_MS && idleSeconds * 1000 >= SILENT_MS) return 'silent';
    const watchedMs = nowMs - beganAtMs;
    if (watchedMs > MOST_WATCHED_MS) return 'slow';
    if (watchedMs < JUDGED_AFTER_MS || size === null) return 'moving';
    // Bytes arrive, but have not filled a part of the bucket yet: there is no rate to judge.
    if (lastOffset === firstOffset && watchedMs < MOST_TIME_LEFT_MS) return 'moving';
    const bytesPerMs = (lastOffset - firstOffset) / watchedMs;
    return size - lastOffset > bytesPerMs * MOST_TIME_LEFT_MS ? 'slow' : 'moving';
  };
}

/** Who sent to an unfinished upload last, as far as this client knows. */
export type Sender =
  /** An earlier run of this command, or an earlier visit to this page, which has ended. */
  | 'ended'
  /** Another run of this command, which is still running. */
  | 'running'
  | 'unknown';

/**
 * What to do about an unfinished upload of the same bytes: `resume` it, `wait` for its sender, or `avoid` it: leave it to
 * its sender and begin another one.
 *
 * @param isMoving - whether bytes of it arrived lately: `/check` answers `uploading`.
 * @param judge - called only where its verdict matters.
 */
export function whatToDo(sender: Sender, isMoving: boolean, judge: () => WatchVerdict): 'resume' | 'wait' | 'avoid' {
  if (sender === 'ended') return 'resume';
  // Another run of ours may take long to send its first byte, but it is known to be running.
  if (!isMoving && sender !== 'running') return 'resume';
  const verdict = judge();
  if (verdict === 'silent') return 'resume';
  return verdict === 'slow' && sender !== 'running' ? 'avoid' : 'wait';
}
