/** Checks the log at a start, before SQLite applies it. Why: docs/decisions/0019-catalog-and-folder-belong-together.md. */
import { realpathSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { CatalogError } from '../catalog.ts';
import type { Database } from './database.ts';
import { type LogState, lookAtLog } from './log-mark.ts';

/** Real paths of the catalogs that this process has open: reading such a file, and closing it again, would drop the lock. */
export const openHere = new Set<string>();

/** Whether this process has the catalog open. */
export function isOpenHere(file: string): boolean {
  return openHere.has(realPath(file));
}

/** How often database and log are compared before they count as unfit: a running service may be changing both. */
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 100;
/** The largest database that is checked at a start; SQLite checks some 200 MiB in a second. */
const MOST_CHECKED_BYTES = 256 * 1024 * 1024;

/** Describes for people what is wrong with the log; undefined where nothing is. */
export function describeLog(file: string, state: LogState): string | undefined {
  switch (state) {
    case 'missing':
      return (
        `the log of the catalog (${file}-wal) is not there, and the service that used it was not stopped: what was ` +
        'changed since its last checkpoint is missing, unless another program has brought it into the catalog'
      );
    case 'foreign':
      return (
        `the log ${file}-wal is not that of the catalog ${file} as it is now, but of another time or another catalog: ` +
        'applied, it would damage it'
      );
    case 'fits':
    case 'clean':
      return undefined;
  }
}

/**
 * Refuses a log that does not belong to the database, and a database whose log is missing.
 *
 * @param options.adopt - continue without the log; a foreign one is renamed.
 * @throws CatalogError `unavailable`.
 */
export async function settleLog(options: {
  file: string;
  adopt?: boolean;
  tell?: (found: string) => void;
}): Promise<LogState> {
  const { file, adopt = false, tell = () => undefined } = options;
  if (isOpenHere(file)) return 'fits';
  let state = lookAtLog(file);
  for (let look = 1; look < LOOKS && describeLog(file, state) !== undefined; look++) {
    await wait(BETWEEN_LOOKS_MS);
    state = lookAtLog(file);
  }
  const problem = describeLog(file, state);
  if (problem === undefined) return state;
  if (!adopt) {
    throw new CatalogError(
      'unavailable',
      `${problem}. Nothing was changed. Put the catalog and its log of one time in place; ` +
        'or start once with --adopt (npm start -- --adopt) to continue without that log',
    );
  }
  tell(problem);
  if (state === 'foreign') {
    const log = `${realPath(file)}-wal`;
    await rename(log, `${log}-unfit-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`);
  }
  return state;
}

/**
 * Checks whether the database is damaged, where it was not closed cleanly. A large one is not checked: that would take too
 * long.
 *
 * @throws CatalogError `unavailable` when it is damaged.
 */
export async function checkDatabase(database: Database, path: string, tell: (found: string) => void): Promise<void> {
  const { size } = await stat(path);
  if (size > MOST_CHECKED_BYTES) {
    const mib = Math.round(size / 1024 / 1024);
    tell(
      `the catalog was not closed, and with ${mib} MiB it is too large to be checked at a start: when the service is ` +
        `stopped, sqlite3 ${path} 'PRAGMA quick_check' does it in about ${Math.ceil(mib / 200)} s on a fast disk`,
    );
    return;
  }
  const found = String(database.pragma('quick_check(1)', { simple: true }));
  if (found !== 'ok') throw new CatalogError('unavailable', `the catalog ${path} is damaged: ${found}`);
}

function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
