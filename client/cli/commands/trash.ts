/** `tidemark trash`: lists deleted files, restores them, and deletes them for good. */
import type { FilesTotalJson } from '../../../server/wire/files.ts';
import type { TrashedJson, TrashProgressJson } from '../../../server/wire/trash.ts';
import { ask, type Context } from '../context.ts';
import { CliError, codeOf, describeError, EXIT, ServiceError } from '../errors.ts';
import { isHopeless } from '../first-contact.ts';
import { formatSize, printable } from '../format.ts';
import { folderPath } from './folders.ts';

/** The most files in one request. */
const PAGE = 100;
/** The most that one request lists: to find one by its name. */
const LARGE_PAGE = 1000;

/** Prints up to `limit` files in the trash, the latest deleted first. */
export async function runTrash({ limit }: { limit: number }, context: Context): Promise<number> {
  const { output } = context;
  let left = limit;
  for await (const { files, keptSeconds, nextCursor } of pagesOf(context, Math.min(PAGE, limit))) {
    if (files.length === 0) output.say(keptSeconds === 0 ? 'This service has no trash.' : 'The trash is empty.');
    const shown = files.slice(0, left);
    for (const file of shown) {
      if (output.modes.json) output.record(file);
      else output.result(output.modes.quiet ? file.id : lineOf(file));
    }
    left -= shown.length;
    if (left > 0 && !output.stdoutClosed()) continue;
    if (nextCursor !== null || shown.length < files.length)
      output.say(`There are more; --limit ${limit * 2} shows them.`);
    break;
  }
  return EXIT.done;
}

/** Restores files and folders. Continues after one that cannot be restored. */
export async function runRestore(given: readonly string[], context: Context): Promise<number> {
  const { output, service, signal } = context;
  return eachOf(given, context, async (one) => {
    const meant = await findInTrash(one, context);
    if (meant.kind === 'file') {
      const { restored = [] } = await ask(context, one, () => service.restore({ files: [meant.file.id] }, signal));
      for (const file of restored) {
        if (output.modes.json) output.record({ id: file.id, status: 'restored', name: file.name });
        else output.say(`${one}: restored as ${file.name}`);
      }
      return;
    }
    const { deletion, folder } = meant;
    const sum = await untilComplete(one, context, () => service.restore({ deletion }, signal));
    if (output.modes.json) output.record({ folder, status: 'restored', ...sum });
    else output.say(`${one}: restored, with ${describe(sum)}`);
  });
}

/** Deletes files and folders in the trash for good. Continues after one that cannot be deleted. */
export async function runDeleteForGood(given: readonly string[], context: Context): Promise<number> {
  const { output, service, signal } = context;
  return eachOf(given, context, async (one) => {
    const meant = await findInTrash(one, context);
    const query = meant.kind === 'file' ? { id: meant.file.id } : { deletion: meant.deletion };
    const sum = await untilComplete(one, context, () => service.deleteForGood(query, signal));
    const what = meant.kind === 'file' ? { id: meant.file.id } : { folder: meant.folder };
    if (output.modes.json) output.record({ ...what, status: 'deleted', ...sum });
    else output.say(`${one}: deleted for good`);
  });
}

/** Deletes all that is in the trash. */
export async function runEmptyTrash(context: Context): Promise<number> {
  const { output, service, signal } = context;
  const sum = await untilComplete(null, context, ({ until }) =>
    service.deleteForGood({ all: 'true', ...(until === undefined ? {} : { until }) }, signal),
  );
  if (output.modes.json) output.record({ status: 'emptied', ...sum });
  else output.say(`The trash is empty: ${describe(sum)} deleted for good.`);
  return EXIT.done;
}

/** What an argument names. */
type Meant = { kind: 'file'; file: TrashedJson } | { kind: 'folder'; deletion: string; folder: string };

/**
 * Finds what an argument names: a file by its id or its path, or a deleted folder by its path or the id of the deletion. Of
 * several, the one that was deleted last; a file before a folder of its name, unless a slash is at the end.
 *
 * @throws CliError `not_found`.
 */
async function findInTrash(given: string, context: Context): Promise<Meant> {
  const path = folderPath(given);
  const isFolder = given.endsWith('/');
  let folderOfName: Meant | undefined;
  for await (const { files } of pagesOf(context, LARGE_PAGE)) {
    for (const file of files) {
      const { deletion } = file;
      const folder = deletion && ({ kind: 'folder', deletion: deletion.id, folder: deletion.folder } as const);
      if (folder && (isFolder ? folder.folder === path : folder.deletion === given)) return folder;
      if (!isFolder && (file.id === given || file.name === path)) return { kind: 'file', file };
      if (folder?.folder === path) folderOfName ??= folder;
    }
  }
  if (folderOfName) return folderOfName;
  throw new CliError(
    'not_found',
    `there is no ${isFolder ? 'folder' : 'file or folder'} ${printable(given)} in the trash`,
  );
}

async function* pagesOf({ service, signal, ...context }: Context, limit: number) {
  for (let cursor: string | null = null; ;) {
    const question: { limit: number; cursor?: string } = { limit, ...(cursor === null ? {} : { cursor }) };
    const page = await ask({ service, signal, ...context }, null, () => service.trash(question, signal));
    yield page;
    cursor = page.files.length === 0 ? null : page.nextCursor;
    if (cursor === null) return;
  }
}

/** Asks until the service says that all is done: one request ends after some seconds. @param run - gets the answer before. */
async function untilComplete(
  given: string | null,
  context: Context,
  run: (before: Partial<TrashProgressJson>) => Promise<TrashProgressJson>,
): Promise<FilesTotalJson> {
  const sum = { files: 0, bytes: 0 };
  for (let before: Partial<TrashProgressJson> = {}; ;) {
    const last = before;
    const done = await ask(context, given, async (attempt) => {
      try {
        return await run(last);
      } catch (error) {
        // An earlier attempt, or request, may have done it, and its answer got lost: then nothing is left.
        const isDone = error instanceof ServiceError && error.status === 404 && (attempt > 0 || sum.files > 0);
        if (isDone) return { files: 0, bytes: 0, complete: true };
        throw error;
      }
    });
    sum.files += done.files;
    sum.bytes += done.bytes;
    if (done.complete) return sum;
    before = done;
  }
}

async function eachOf(
  given: readonly string[],
  { output, signal }: Context,
  run: (one: string) => Promise<void>,
): Promise<number> {
  let failed = 0;
  for (const one of given) {
    try {
      await run(one);
    } catch (error) {
      signal.throwIfAborted();
      if (isHopeless(error)) throw error;
      failed += 1;
      const message = describeError(error);
      output.complain(`${one}: ${message}`);
      if (output.modes.json) output.record({ id: one, status: 'failed', error: { code: codeOf(error), message } });
    }
  }
  return failed === 0 ? EXIT.done : EXIT.failed;
}

function lineOf({ id, name, size, deletedAt, expiresAt, deletion }: TrashedJson): string {
  const [deleted, until] = [deletedAt, expiresAt].map((at) => at.replace('T', ' ').slice(0, 16));
  const folder = deletion ? `  (with ${printable(deletion.folder)}/)` : '';
  return `${id}  ${deleted}  until ${until}  ${formatSize(size).padStart(10)}  ${printable(name)}${folder}`;
}

function describe({ files, bytes }: FilesTotalJson): string {
  return `${files} ${files === 1 ? 'file' : 'files'} (${formatSize(bytes)})`;
}
