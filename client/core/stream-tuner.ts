/** `--streams auto`: how many connections carry a transfer, by measuring whether more of them help. */
import { MOST_STREAMS } from './parts.ts';

/** After connections were added, so long does not count: they start slowly, and fill buffers on the way. */
const SETTLING_MS = 1_000;
/** How long the rate is measured before it is judged. */
const MEASURED_MS = 2_000;
/** Where each added connection brings this share of what one carried before, there is room for more. */
const FULL_GAIN = 0.75;
/** Where it brings less than this, it is of no use. */
const LEAST_GAIN = 0.25;

/** Judges at each look. */
export interface StreamTuner {
  /**
   * @param nowMs - time of a monotonic clock.
   * @param movedBytes - how many bytes all connections have carried so far.
   * @returns how many connections there should be.
   */
  look(nowMs: number, movedBytes: number): number;
}

/** The connections of a step, and what they carry. */
interface Step {
  streams: number;
  bytesPerMs: number;
}

/**
 * Begins with one connection, and doubles their number for as long as the added ones bring what the others do. Then it stays at
 * that, or at the number before, where they brought nothing.
 *
 * @param nowMs - now, by the clock of `look`.
 */
export function createStreamTuner(nowMs: number): StreamTuner {
  let streams = 1;
  let before: Step | null = null;
  let isSettled = false;
  let addedAtMs = nowMs;
  let from: { atMs: number; bytes: number } | null = null;

  function judge(bytesPerMs: number, atMs: number): void {
    const gain = before === null ? 1 : gainOf(before, { streams, bytesPerMs });
    if (before !== null && gain < LEAST_GAIN) streams = before.streams;
    isSettled = gain < FULL_GAIN || streams === MOST_STREAMS;
    if (isSettled) return;
    before = { streams, bytesPerMs };
    streams = Math.min(2 * streams, MOST_STREAMS);
    addedAtMs = atMs;
    from = null;
  }

  return {
    look(atMs, movedBytes) {
      if (isSettled || atMs - addedAtMs < SETTLING_MS) return streams;
      from ??= { atMs, bytes: movedBytes };
      const measuredMs = atMs - from.atMs;
      // Where nothing moved, the line is broken: that says nothing about the number of connections.
      if (movedBytes <= from.bytes) from = { atMs, bytes: movedBytes };
      else if (measuredMs >= MEASURED_MS) judge((movedBytes - from.bytes) / measuredMs, atMs);
      return streams;
    },
  };
}

/** What each added connection carries, as a share of what one carried before. */
function gainOf(before: Step, now: Step): number {
  const each = before.bytesPerMs / before.streams;
  return (now.bytesPerMs - before.bytesPerMs) / ((now.streams - before.streams) * each);
}
