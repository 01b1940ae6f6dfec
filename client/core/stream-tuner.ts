/** `--streams auto`: how many connections carry a transfer, by measuring whether another one helps. */
import { MOST_STREAMS } from './parts.ts';

/** After a connection was added, so long does not count: it starts slowly, and fills buffers on the way. */
const SETTLING_MS = 1_500;
/** How long the rate is measured before it is judged. */
const MEASURED_MS = 3_000;
/** Another connection has to add at least this share of what a connection carried before it. */
const LEAST_GAIN = 0.4;

/** Judges at each look. */
export interface StreamTuner {
  /**
   * @param nowMs - time of a monotonic clock.
   * @param movedBytes - how many bytes all connections have carried so far.
   * @returns how many connections there should be.
   */
  look(nowMs: number, movedBytes: number): number;
}

/**
 * Begins with one connection. Adds one after the other for as long as each of them makes the whole faster; takes the first
 * that does not away again, and stays at that.
 *
 * @param nowMs - now, by the clock of `look`.
 */
export function createStreamTuner(nowMs: number): StreamTuner {
  let streams = 1;
  /** The rate with one connection fewer; 0 while there is only one. */
  let rateBefore = 0;
  let isSettled = false;
  let addedAtMs = nowMs;
  let from: { atMs: number; bytes: number } | null = null;

  function judge(bytesPerMs: number, atMs: number): void {
    const isWorthIt = streams === 1 || bytesPerMs - rateBefore >= (LEAST_GAIN * rateBefore) / (streams - 1);
    if (!isWorthIt) streams -= 1;
    isSettled = !isWorthIt || streams === MOST_STREAMS;
    if (isSettled) return;
    rateBefore = bytesPerMs;
    streams += 1;
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
