/** The clock of the service: it continues from where the previous process left off, and its jumps are logged. */
import type { Logger } from 'pino';
import { UNKNOWN_MS } from '../stores/store.ts';
import type { Catalog } from './catalog/catalog.ts';
import { type Clock, type ClockNews, type ClockSource, createClock } from './clock.ts';
import type { Config } from './config/config.ts';
import { REMEMBER_ENDED_MS } from './uploads/contract.ts';

/** @throws CatalogError when the catalog cannot be read. */
export async function startClock(config: Config, catalog: Catalog, log: Logger, source: ClockSource): Promise<Clock> {
  const clock = createClock({
    source,
    kept: await catalog.getMeta('clock'),
    believeAfterMs: Math.max(config.uploadTtlMs, REMEMBER_ENDED_MS, UNKNOWN_MS),
    tell: (news) => tellOfClock(news, log),
  });
  try {
    await catalog.setMeta('clock', clock.keep());
  } catch (error) {
    // A full disk: a job tries again.
    log.warn({ err: error }, 'the time could not be kept for the next start');
  }
  return clock;
}

function tellOfClock({ kind, byMs }: ClockNews, log: Logger): void {
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
