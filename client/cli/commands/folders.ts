/** `tidemark move` and `tidemark delete --recursive`: what changes whole folders. */
import type { DeletedJson, FileJson } from '../../../server/wire/files.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { ask } from '../context.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT, ServiceError, codeOf, describeError } from '../errors.ts';
import { findFile } from '../find-file.ts';
import { isHopeless } from '../first-contact.ts';
import { formatSize, printable } from '../format.ts';

/** A folder's path as it was typed, without slashes around it. */
export function folderPath(given: string): string {
  return given.replace(/^\/+|\/+$/g, '');
}

/** Moves a folder, or a file where there is no folder by that name. What ends in a slash is a folder. */
export async function runMoveTo(from: string, to: string, context: Context): Promise<number> {
  const { output, service, signal } = context;
  const target = (name: string): string => folderPath(to.endsWith('/') ? `${to}${name}` : to);
  // The folder first: one request finds it, while a name may be searched in many pages, and may be an MD5.
  const isFolder = from.endsWith('/') || (await hasFolder(folderPath(from), context));
  const file = isFolder ? null : await findFileOrNone(from, context);
  if (file) {
    const moved = await ask(context, null, () => service.rename(file.id, target(lastPart(file.name)), signal));
    if (output.modes.json) output.record(moved);
    else output.say(`${moved.id} is now called ${moved.name}`);
    return EXIT.done;
  }
  const path = folderPath(from);
  const wanted = target(lastPart(path));
  const moved = await ask(context, null, async (attempt) => {
    try {
      return await service.moveFolder(path, wanted, signal);
    } catch (error) {
      // The first attempt may have moved it, and its answer got lost.
      if (attempt > 0 && isNotThere(error)) return service.folder(wanted, signal);
      throw isNotThere(error) ? notThere(from, error) : error;
    }
  });
  if (output.modes.json) output.record(moved);
  else output.say(`${path} is now ${moved.name}, with ${describe(moved)}`);
  return EXIT.done;
}

/** Deletes folders. Continues after one that cannot be deleted. */
export async function runDeleteFolders(given: readonly string[], context: Context): Promise<number> {
  const { output, signal } = context;
  let failed = 0;
  for (const each of given) {
    try {
      const deleted = await deleteFolder(each, context);
      if (output.modes.json) output.record({ folder: folderPath(each), status: 'deleted', ...deleted });
      else output.say(`${each}: deleted, with ${describe(deleted)}`);
    } catch (error) {
      signal.throwIfAborted();
      if (isHopeless(error)) throw error;
      failed += 1;
      const message = describeError(error);
      output.complain(`${each}: ${message}`);
      if (output.modes.json)
        output.record({ folder: folderPath(each), status: 'failed', error: { code: codeOf(error), message } });
    }
  }
  return failed === 0 ? EXIT.done : EXIT.failed;
}

/** Whether there is a folder at the path; no argument that cannot be a path is one. */
async function hasFolder(path: string, context: Context): Promise<boolean> {
  try {
    await ask(context, null, () => context.service.folder(path, context.signal));
    return true;
  } catch (error) {
    if (isNotThere(error) || codeOf(error) === 'invalid_field') return false;
    throw error;
  }
}

/** Deletes a folder, request by request: each ends after some seconds. @returns what was deleted, as far as it was answered. */
async function deleteFolder(given: string, context: Context): Promise<Omit<DeletedJson, 'nextCursor'>> {
  const { service, signal } = context;
  const sum: Omit<DeletedJson, 'nextCursor'> = { files: 0, bytes: 0 };
  for (let cursor: string | null = null; ;) {
    const from: string | null = cursor;
    const deleted: DeletedJson = await ask(context, given, async (attempt) => {
      try {
        return await service.removeFolder(folderPath(given), from, signal);
      } catch (error) {
        // An earlier attempt may have deleted all of it, and its answer got lost.
        if (attempt > 0 && isNotThere(error)) return { files: 0, bytes: 0, nextCursor: null };
        throw isNotThere(error) ? notThere(given, error) : error;
      }
    });
    sum.files += deleted.files;
    sum.bytes += deleted.bytes;
    if (deleted.deletion !== undefined) sum.deletion = deleted.deletion;
    cursor = deleted.nextCursor;
    if (cursor === null) return sum;
  }
}

export async function findFileOrNone(given: string, context: Context): Promise<FileJson | null> {
  try {
    return await findFile(given, 'change', context);
  } catch (error) {
    if (error instanceof CliError && error.code === 'not_found') return null;
    throw error;
  }
}

export function isNotThere(error: unknown): boolean {
  return error instanceof ServiceError && error.status === 404;
}

/** The error for a folder that is not there. @param what - that was looked for. */
export function notThere(given: string, cause: unknown, what = 'folder'): CliError {
  return new CliError('not_found', `there is no ${what} ${printable(given)}`, { cause });
}

function describe({ files, bytes }: { files: number; bytes: number }): string {
  return `${files} ${files === 1 ? 'file' : 'files'} (${formatSize(bytes)})`;
}
