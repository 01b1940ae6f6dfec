/** Finds the files to upload: from the arguments of the command line, and what is in folders. */
import { lstat, readdir, stat } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { basename, join, normalize } from 'node:path';
import type { Stats } from 'node:fs';
import { UsageError } from './errors.ts';

const SLASH = 0x2f;

export interface FoundPath {
  /** As text, with U+FFFD for what is not UTF-8. */
  path: string;
  /** The path to open the file by, where it is not UTF-8. */
  bytes?: Buffer;
  size: number;
  /** What it is called in the catalog: below a folder that was given, its path from there. */
  name: string;
  /** Why the path could not be read. It is reported when the turn of this file comes. */
  error?: Error;
}

/**
 * Collects the files, each once, with the names that keep the structure of folders. Links inside folders are skipped.
 *
 * @param options.skip - called for everything in a folder that is not uploaded.
 * @throws UsageError for a folder without `recursive`.
 */
export async function collectPaths(
  paths: readonly string[],
  options: { recursive: boolean; signal: AbortSignal; skip: (path: string, why: string) => void },
): Promise<FoundPath[]> {
  const found: FoundPath[] = [];
  const seen = new Set<string>();

  function add(place: Buffer, name: string, size: number): void {
    const key = place.toString('latin1');
    if (seen.has(key)) return;
    seen.add(key);
    found.push({ ...shown(place), name, size });
  }

  /** @param within - the folder's path in the catalog; empty: the top. */
  async function walk(folder: Buffer, within: string): Promise<void> {
    let names: Buffer[];
    try {
      names = await readdir(folder, { encoding: 'buffer' });
    } catch (error) {
      found.push({ ...shown(folder), name: within, size: 0, error: asError(error) });
      return;
    }
    for (const part of names.sort((one, other) => Buffer.compare(one, other))) {
      options.signal.throwIfAborted();
      const place = Buffer.concat([withSlash(folder), part]);
      const name = within === '' ? part.toString('utf8') : `${within}/${part.toString('utf8')}`;
      const { path } = shown(place);
      let entry: Stats;
      try {
        entry = await lstat(place);
      } catch (error) {
        found.push({ path, name, size: 0, error: asError(error) });
        continue;
      }
      // Links inside a folder may lead out of it, or round in a circle.
      if (entry.isSymbolicLink()) options.skip(path, 'a symbolic link');
      else if (entry.isDirectory()) await walk(place, name);
      else if (entry.isFile()) add(place, name, entry.size);
      else options.skip(path, 'not a regular file');
    }
  }

  for (const given of paths) {
    const place = argumentBytes(given);
    let entry: Stats;
    try {
      entry = await stat(place);
    } catch (error) {
      found.push({ path: given, name: basename(given), size: 0, error: asError(error) });
      continue;
    }
    if (!entry.isDirectory()) add(place, basename(given), entry.size);
    else if (options.recursive)
      await walk(given.includes('\ufffd') ? place : Buffer.from(join(given)), folderName(given));
    else throw new UsageError(`${given} is a folder; add --recursive to upload what is in it.`);
  }
  return found;
}

/** What a folder is called in the catalog: `.` and `..` have no name, so that what is in them comes to the top. */
function folderName(given: string): string {
  const name = basename(normalize(given));
  return name === '.' || name === '..' || name === '/' ? '' : name;
}

function withSlash(folder: Buffer): Buffer {
  return folder.at(-1) === SLASH ? folder : Buffer.concat([folder, Buffer.of(SLASH)]);
}

/** A path as text; with its bytes where those are not UTF-8. */
function shown(place: Buffer): { path: string; bytes?: Buffer } {
  const path = place.toString('utf8');
  return Buffer.from(path).equals(place) ? { path } : { path, bytes: place };
}

/**
 * The bytes of an argument. Node replaces what is not UTF-8 by U+FFFD (a shell may pass such names when it expands a
 * pattern); on Linux the original arguments can be read.
 */
function argumentBytes(given: string): Buffer {
  if (!given.includes('\ufffd')) return Buffer.from(given);
  const same = givenArguments().get(given);
  // Several arguments may have the same text: each is used once.
  return (same && same.length > 1 ? same.shift() : same?.[0]) ?? Buffer.from(given);
}

let known: Map<string, Buffer[]> | undefined;

/** The original arguments by their texts (proc(5), /proc/self/cmdline); empty where there is no such file. */
function givenArguments(): Map<string, Buffer[]> {
  if (known) return known;
  known = new Map();
  let line = '';
  try {
    line = readFileSync('/proc/self/cmdline', 'latin1');
  } catch {
    // Not Linux. On macOS all names are UTF-8.
  }
  for (const argument of line.split('\0')) {
    const bytes = Buffer.from(argument, 'latin1');
    const text = bytes.toString('utf8');
    known.set(text, [...(known.get(text) ?? []), bytes]);
  }
  return known;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
