/** `tidemark admin`: starts the commands for an administrator of a stopped service as a process. */
import { runServerEntry } from '../server-entry.ts';

/** The flags of `tidemark admin move`. */
export interface MoveFlags {
  toEnv?: string;
  toDatabase?: string;
  toDatabaseFile?: string;
  toStore?: string;
  strict?: boolean;
  sizesOnly?: boolean;
}

/** Runs the move. @returns its exit code. */
export function runMove(flags: MoveFlags, signal: AbortSignal): Promise<number> {
  const values = {
    '--to-env': flags.toEnv,
    '--to-database': flags.toDatabase,
    '--to-database-file': flags.toDatabaseFile,
    '--to-store': flags.toStore,
  };
  // `--name=value`, so that a value that begins with a hyphen is not taken for a flag.
  const args = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  if (flags.strict) args.push('--strict');
  if (flags.sizesOnly) args.push('--sizes-only');
  return runServerEntry('admin', ['move', ...args], signal);
}
