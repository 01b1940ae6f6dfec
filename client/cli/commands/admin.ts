/** `tidemark admin`: starts what an administrator does to a service that is stopped. */
import { runServerEntry } from '../server-entry.ts';

export interface MoveFlags {
  toEnv?: string;
  toDatabase?: string;
  toDatabaseFile?: string;
  toStore?: string;
  strict?: boolean;
  sizesOnly?: boolean;
}

export function runMove(flags: MoveFlags, signal: AbortSignal): Promise<number> {
  const values = {
    '--to-env': flags.toEnv,
    '--to-database': flags.toDatabase,
    '--to-database-file': flags.toDatabaseFile,
    '--to-store': flags.toStore,
  };
  // With a sign between them a value that begins with a hyphen is one all the same.
  const args = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  if (flags.strict) args.push('--strict');
  if (flags.sizesOnly) args.push('--sizes-only');
  return runServerEntry('admin', ['move', ...args], signal);
}
