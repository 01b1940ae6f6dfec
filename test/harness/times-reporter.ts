/**
 * Vitest reporter that says in CI which files took longest and which ended last: `long-files-first.ts` goes by that. A run is as
 * long as all files are only where none of them runs alone at its end.
 */
import type { Reporter, TestModule } from 'vitest/node';

const LONGEST = 40;
const LAST = 8;

/** When a file began and ended, in milliseconds from the beginning of the run. */
export interface FileTimes {
  file: string;
  beganMs: number;
  endedMs: number;
}

/** Two lines. */
export function describeTimes(times: readonly FileTimes[]): string {
  const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
  const longest = times
    .toSorted((one, other) => other.endedMs - other.beganMs - (one.endedMs - one.beganMs))
    .slice(0, LONGEST)
    .map(({ file, beganMs, endedMs }) => `${file} ${seconds(endedMs - beganMs)}`);
  const last = times
    .toSorted((one, other) => other.endedMs - one.endedMs)
    .slice(0, LAST)
    .map(({ file, beganMs, endedMs }) => `${file} from ${seconds(beganMs)} to ${seconds(endedMs)}`);
  return `longest: ${longest.join(', ')}\nlast: ${last.join(', ')}\n`;
}

export default class TimesReporter implements Reporter {
  private readonly beganAtMs = performance.now();
  private readonly began = new Map<string, number>();
  private readonly times: FileTimes[] = [];

  onTestModuleQueued({ relativeModuleId }: TestModule): void {
    this.began.set(relativeModuleId, performance.now() - this.beganAtMs);
  }

  onTestModuleEnd({ relativeModuleId }: TestModule): void {
    const endedMs = performance.now() - this.beganAtMs;
    const file = relativeModuleId.replace(/^dist\/test\/|\.test\.js$/g, '');
    this.times.push({ file, beganMs: this.began.get(relativeModuleId) ?? endedMs, endedMs });
  }

  onTestRunEnd(): void {
    if (process.env['CI'] === 'true') process.stdout.write(describeTimes(this.times));
  }
}
