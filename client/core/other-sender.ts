/** Whether to wait for another client that is sending the very same bytes, or to send them. */

/** How often to look while another client is sending. */
export const LOOK_INTERVAL_MS = 1_000;
/** After so long without a new byte another sender counts as gone. */
const SILENT_MS = 15_000;
/** A folder records progress every 10 s at least: a single record does not show a rate. */
const JUDGED_AFTER_MS = 20_000;
/** A longer wait is not worth it: a trickle must not keep anyone from sending at full speed. */
const MOST_TIME_LEFT_MS = 2 * 60_000;
const MOST_WATCHED_MS = 10 * 60_000;
/**
 * After so long without a look the watch begins again: the client was not waiting for this upload meanwhile. Much longer than
 * the time between looks, so that slow answers do not keep a trickle from being judged.
 */
const UNWATCHED_AFTER_MS = 30_000;

/** `silent`: no client sends to that upload any more. `slow`: a new upload will be done sooner. */
export type WatchVerdict = 'moving' | 'silent' | 'slow';

/**
 * Judges the other upload at each look.
 *
 * @param nowMs - of a clock that only moves forward.
 * @param offset - as the service tells it: what is stored. A bucket stores whole parts.
 * @param idleSeconds - since the last byte arrived, stored or not; undefined where the service does not tell.
 */
export type Watch = (nowMs: number, offset: number, idleSeconds: number | undefined) => WatchVerdict;

/**
 * @param createdAtMs - now, by the same clock.
 * @param size - of the whole upload; null while it is not known.
 */
export function watchOtherSender(createdAtMs: number, size: number | null): Watch {
  let beganAtMs = createdAtMs;
  let lookedAtMs = createdAtMs;
  let movedAtMs = createdAtMs;
  let firstOffset: number | null = null;
  let lastOffset = -1;

  return (nowMs, offset, idleSeconds = Infinity) => {
    // Silence is known without having been watched: no byte has come since the last look.
    if (nowMs - lookedAtMs > UNWATCHED_AFTER_MS) [beganAtMs, firstOffset] = [nowMs, null];
    lookedAtMs = nowMs;
    firstOffset ??= offset;
    if (offset > lastOffset) movedAtMs = nowMs;
    lastOffset = Math.max(lastOffset, offset);
    if (nowMs - movedAtMs > SILENT_MS && idleSeconds * 1000 >= SILENT_MS) return 'silent';
    const watchedMs = nowMs - beganAtMs;
    if (watchedMs > MOST_WATCHED_MS) return 'slow';
    if (watchedMs < JUDGED_AFTER_MS || size === null) return 'moving';
    // Bytes arrive, but do not yet fill a part of a bucket: they show no rate.
    if (lastOffset === firstOffset && watchedMs < MOST_TIME_LEFT_MS) return 'moving';
    const bytesPerMs = (lastOffset - firstOffset) / watchedMs;
    return size - lastOffset > bytesPerMs * MOST_TIME_LEFT_MS ? 'slow' : 'moving';
  };
}

/** Who sent to an unfinished upload last, as far as this client knows. */
export type Sender =
  /** A run of the command or a life of the page of ours, which has ended. */
  | 'ended'
  /** Another run of ours, which is alive. */
  | 'running'
  | 'unknown';

/**
 * What to do about an unfinished upload of the same bytes: resume it, wait for its sender, or leave it alone and begin
 * another one.
 *
 * @param isMoving - bytes of it arrived lately, as `/check` tells.
 * @param judge - asked only where it matters.
 */
export function whatToDo(sender: Sender, isMoving: boolean, judge: () => WatchVerdict): 'resume' | 'wait' | 'avoid' {
  if (sender === 'ended') return 'resume';
  // Another run of ours may be slow to bring its first byte; it is known to be alive all the same.
  if (!isMoving && sender !== 'running') return 'resume';
  const verdict = judge();
  if (verdict === 'silent') return 'resume';
  return verdict === 'slow' && sender !== 'running' ? 'avoid' : 'wait';
}
