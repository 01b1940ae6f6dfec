/** A real process whose clock a test sets while it runs. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../system/support.ts';
import { makeTempFolder } from './temp-folder.ts';
import type { RunningService } from './service.ts';

export interface ShiftingClock {
  /** For NODE_OPTIONS of the process. */
  readonly option: string;
  /** Shifts the clock of a running service; resolves once it is shifted. */
  shift(service: RunningService, ms: number): Promise<void>;
  /** Sets the shift for the next start. */
  shiftNext(ms: number): Promise<void>;
}

/** Makes a clock that is not shifted at first. */
export async function makeShiftingClock(): Promise<ShiftingClock> {
  const file = join(await makeTempFolder(), 'shift');
  await writeFile(file, '0');
  const program = new URL('shift-clock.js', import.meta.url).href;
  return {
    option: `--import=${program}?file=${encodeURIComponent(file)}`,
    shift: async (service, ms) => {
      await writeFile(file, String(ms));
      const told = service.output().length;
      process.kill(service.pid, 'SIGUSR2');
      await until('the clock is shifted', () =>
        service.output().slice(told).includes(`the clock is shifted by ${ms} ms`),
      );
    },
    shiftNext: (ms) => writeFile(file, String(ms)),
  };
}
