/** The time constant: after so long, about two thirds of a change of the rate show. */
const RATE_SMOOTHING_MS = 3000;

export interface Rate {
  /** Adds bytes that were done since the last call. */
  add: (bytes: number) => void;
  /** Bytes per second. */
  value: () => number;
  reset: () => void;
}

/** Bytes per second, smoothed exponentially. */
export function createRate(): Rate {
  let bytesPerMs = 0;
  let weight = 0;
  let at = performance.now();
  return {
    add(bytes) {
      const now = performance.now();
      const elapsedMs = Math.max(1, now - at);
      at = now;
      const fresh = 1 - Math.exp(-elapsedMs / RATE_SMOOTHING_MS);
      bytesPerMs += (bytes / elapsedMs - bytesPerMs) * fresh;
      weight += (1 - weight) * fresh;
    },
    // Divided by the weight of what was seen, so that the first seconds are not shown too low.
    value: () => (weight < 0.05 ? 0 : (bytesPerMs / weight) * 1000),
    reset() {
      bytesPerMs = 0;
      weight = 0;
      at = performance.now();
    },
  };
}
