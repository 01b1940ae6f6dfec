/** Logs what the catalog finds out about the machine's clock. */
import type { Logger } from 'pino';
import type { ClockNews } from './catalog/catalog.ts';

/** Logs one finding. */
export function tellOfClock({ kind, byMs }: ClockNews, log: Logger): void {
  const direction = byMs > 0 ? 'ahead' : 'back';
  const far = `${Math.round(Math.abs(byMs) / 1000)} s`;
  switch (kind) {
    case 'jump':
      log.warn(
        { byMs },
        `the clock jumped ${direction} by ${far}: nothing expires before its time has passed by both times`,
      );
      break;
    case 'apart': {
      const where = byMs > 0 ? 'ahead' : 'behind';
      log.info({ byMs }, `the clock is ${where} by ${far}, compared with the catalog's own time`);
      break;
    }
    case 'believed':
      log.info({ byMs }, 'the clock has not jumped again for long: its time counts from now on');
  }
}
