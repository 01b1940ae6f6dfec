/** The log of what the catalog finds out about the machine's clock. */
import type { Logger } from 'pino';
import type { ClockNews } from './catalog/catalog.ts';

export function tellOfClock({ kind, byMs }: ClockNews, log: Logger): void {
  const direction = byMs > 0 ? 'ahead' : 'back';
  const far = `${Math.round(Math.abs(byMs) / 1000)} s`;
  switch (kind) {
    case 'jump':
      log.warn({ byMs }, `the clock jumped ${direction} by ${far}: nothing expires before both times have passed`);
      break;
    case 'apart': {
      const where = byMs > 0 ? 'ahead' : 'behind';
      log.info({ byMs }, `the clock is ${where} by ${far} of the time that this machine has counted since it was kept`);
      break;
    }
    case 'believed':
      log.info({ byMs }, 'the clock has held since it jumped, and counts from now on');
  }
}
