/** A smoothed rate over the last seconds. */

const WINDOW_MS = 12_000;
const SMOOTHING = 0.25;

export interface Rate {
  /** @returns bytes per second; null while too little is known. */
  update(totalBytes: number): number | null;
  reset(): void;
}

export function createRate(): Rate {
  let samples: { at: number; bytes: number }[] = [];
  let smooth: number | null = null;
  return {
    update: (bytes) => {
      const at = performance.now();
      samples.push({ at, bytes });
      samples = samples.filter((sample) => at - sample.at <= WINDOW_MS);
      const first = samples[0];
      if (!first || at - first.at < 2_500) return smooth;
      const now = ((bytes - first.bytes) / (at - first.at)) * 1000;
      smooth = smooth === null ? now : smooth + (now - smooth) * SMOOTHING;
      return smooth;
    },
    reset: () => {
      samples = [];
      smooth = null;
    },
  };
}
