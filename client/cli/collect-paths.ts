/** From what was named on the command line to the files to upload. */
import { lstat, readdir, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './errors.ts';

export interface FoundPath {
  path: string;
  size: number;
  /** What cannot be looked at fails when its turn comes, like any other file. */
  error?: Error;
}

/**
 * @param skip - told of everything in a folder that is not uploaded.
 * @throws UsageError for a folder without `recursive`.
 */
export async function collectPaths(
  paths: readonly string[],
  options: { recursive: boolean; signal: AbortSignal; skip: (path: string, why: string) => void },
): Promise<FoundPath[]> {
  const found: FoundPath[] = [];
  const seen = new Set<string>();

  function add(path: string, size: number): void {
    if (seen.has(path)) return;
    seen.add(path);
    found.push({ path, size });
  }

  async function walk(folder: string): Promise<void> {
    let names: string[];
    try {
      names = await readdir(folder);
    } catch (error) {
      found.push({ path: folder, size: 0, error: asError(error) });
      return;
    }
    for (const name of names.sort()) {
      options.signal.throwIfAborted();
      const path = join(folder, name);
      let entry: Stats;
      try {
        entry = await lstat(path);
      } catch (error) {
        found.push({ path, size: 0, error: asError(error) });
        continue;
      }
      // Links inside a folder may lead out of it, or round in a circle.
      if (entry.isSymbolicLink()) options.skip(path, 'a symbolic link');
      else if (entry.isDirectory()) await walk(path);
      else if (entry.isFile()) add(path, entry.size);
      else options.skip(path, 'not a regular file');
    }
  }

  for (const path of paths) {
    let entry: Stats;
    try {
      entry = await stat(path);
    } catch (error) {
      found.push({ path, size: 0, error: asError(error) });
      continue;
    }
    if (!entry.isDirectory()) add(path, entry.size);
    else if (options.recursive) await walk(path);
    else throw new UsageError(`${path} is a folder; add --recursive to upload what is in it.`);
  }
  return found;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
