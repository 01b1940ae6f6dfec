/** A start looks at the log that it finds, before SQLite does. Why: docs/decisions/0019-catalog-and-folder-belong-together.md. */
import { realpathSync } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { CatalogError } from '../catalog.ts';
import type { Database } from './database.ts';
import { type LogState, lookAtLog } from './log-mark.ts';

/** Catalogs that this process has open: to look at one of their files would drop the lock on it. */
export const openHere = new Set<string>();

export function isOpenHere(file: string): boolean {
  return openHere.has(realPath(file));
}

/** A running service may be about to change both: it is looked at so often. */
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 100;
/** Of a database; SQLite checks some 200 MiB in a second. */
const MOST_CHECKED_BYTES = 256 * 1024 * 1024;

/** What is wrong with the log, in words; undefined where nothing is. */
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
 * @param options.adopt - continue without the log; one of another time is renamed.
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
        'or start once with --adopt (npm start -- --adopt) to go on without that log',
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
 * After an end that was not clean: looks whether the database is whole.
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
