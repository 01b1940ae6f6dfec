/** `tidemark list`, `info`, `rename`, `delete`: read and change the service's catalog. */
import type { FileJson, FilePageJson, FileSortJson, FolderJson } from '../../../server/wire/files.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { ask } from '../context.ts';
import type { Context } from '../context.ts';
import { EXIT, ServiceError, codeOf, describeError } from '../errors.ts';
import { findFile } from '../find-file.ts';
import { isHopeless } from '../first-contact.ts';
import { fit, formatSize, printable, textWidth } from '../format.ts';
import type { ListQuestion } from '../service-client.ts';
import { folderPath, isNotThere, notThere } from './folders.ts';

export interface ListOptions {
  /** Only what is in this folder; `/` is the top. Undefined: all files. */
  folder: string | undefined;
  /** All files below the folder. */
  recursive: boolean;
  search: string | undefined;
  sort: FileSortJson;
  order: 'asc' | 'desc' | undefined;
  limit: number;
}

/** The most files in one request. */
const PAGE = 100;

/** Prints up to `limit` files and folders, page by page. */
export async function runList(options: ListOptions, context: Context): Promise<number> {
  const { output, service, signal } = context;
  const { folder } = options;
  let left = options.limit;
  let cursor: string | null = null as string | null;
  let shown = 0;
  do {
    const question = { ...questionOf(options), limit: Math.min(PAGE, left), ...(cursor === null ? {} : { cursor }) };
    const page: FilePageJson = await ask(context, null, () => service.list(question, signal)).catch(
      (error: unknown) => {
        throw folder !== undefined && isNotThere(error) ? notThere(folder, error) : error;
      },
    );
    for (const each of (page.folders ?? []).slice(0, left)) {
      if (output.modes.json) output.record({ folder: each.name, files: each.files, bytes: each.bytes });
      else if (!output.modes.quiet) output.result(folderLine(each));
    }
    for (const file of page.files.slice(0, left)) {
      if (output.modes.json) output.record(file);
      else output.result(output.modes.quiet ? printable(file.url) : listLine(file));
    }
    const count = page.files.length + (page.folders?.length ?? 0);
    shown += count;
    left -= count;
    cursor = page.nextCursor;
  } while (cursor !== null && left > 0 && !output.stdoutClosed());
  if (shown === 0) output.say('No files.');
  else if (cursor !== null) output.say(`There are more; --limit ${options.limit * 2} shows them.`);
  return EXIT.done;
}

function questionOf({ folder, recursive, search, sort, order }: ListOptions): Omit<ListQuestion, 'limit'> {
  const prefix = folder === undefined ? {} : { prefix: folderPath(folder) };
  if (recursive) return { ...prefix, recursive: 'true' };
  return {
    ...prefix,
    sort,
    order: order ?? (sort === 'name' ? 'asc' : 'desc'),
    ...(search === undefined ? {} : { search }),
  };
}

/** In the columns of `listLine`: ids have 36 characters. */
function folderLine({ name, files, bytes }: FolderJson): string {
  const count = `${files} ${files === 1 ? 'file' : 'files'}`;
  return `${count.padEnd(54)}  ${formatSize(bytes).padStart(10)}  ${printable(name)}/`;
}

function listLine(file: FileJson): string {
  const when = file.uploadedAt.replace('T', ' ').slice(0, 16);
  const name = printable(file.name);
  const columns = process.stdout.isTTY ? process.stdout.columns - file.id.length - 32 : Number.POSITIVE_INFINITY;
  const shown = columns > 20 ? fit(name, columns) : name;
  return `${file.id}  ${when}  ${formatSize(file.size).padStart(10)}  ${shown}`;
}

/** Prints all that is known of one file. */
export async function runInfo(given: string, context: Context): Promise<number> {
  printFile(context, await findFile(given, 'read', context));
  return EXIT.done;
}

/** Gives a file another name in its folder. @param name - with a slash: its whole path. */
export async function runRename(given: string, name: string, context: Context): Promise<number> {
  const found = await findFile(given, 'change', context);
  const folders = found.name.slice(0, found.name.length - lastPart(found.name).length);
  const path = name.includes('/') ? name.replace(/^\//, '') : folders + name;
  const file = await ask(context, null, () => context.service.rename(found.id, path, context.signal));
  if (context.output.modes.json) context.output.record(file);
  else context.output.say(`${file.id} is now called ${file.name}`);
  return EXIT.done;
}

/** Deletes files. Continues after a file that cannot be deleted. */
export async function runDelete(meant: readonly string[], context: Context): Promise<number> {
  const { output, service, signal } = context;
  let failed = 0;
  for (const given of meant) {
    try {
      const { id } = await findFile(given, 'change', context);
      await ask(context, given, async (attempt) => {
        try {
          await service.remove(id, signal);
        } catch (error) {
          // The first attempt may have deleted the file, and its answer got lost.
          if (attempt > 0 && error instanceof ServiceError && error.status === 404) return;
          throw error;
        }
      });
      if (output.modes.json) output.record({ id, status: 'deleted' });
      else output.say(`${given}: deleted`);
    } catch (error) {
      signal.throwIfAborted();
      if (isHopeless(error)) throw error;
      failed += 1;
      const message = describeError(error);
      output.complain(`${given}: ${message}`);
      if (output.modes.json) output.record({ id: given, status: 'failed', error: { code: codeOf(error), message } });
    }
  }
  return failed === 0 ? EXIT.done : EXIT.failed;
}

function printFile(context: Context, file: FileJson): void {
  const { output } = context;
  if (output.modes.json) {
    output.record(file);
    return;
  }
  const facts: [string, string | null | undefined][] = [
    ['id', file.id],
    ['name', file.name],
    ['size', `${formatSize(file.size)} (${file.size} bytes)`],
    ['type', file.type],
    ['uploaded', file.uploadedAt],
    ['sent by', file.sentBy && (file.sentBy.name ?? `somebody, by the link ${file.sentBy.link}`)],
    ['note', file.sentBy?.note],
    ['md5', file.md5],
    ['sha1', file.sha1],
    ['sha256', file.sha256],
    ['url', file.url],
  ];
  const width = Math.max(...facts.map(([label]) => textWidth(label)));
  for (const [label, value] of facts) {
    if (value) output.result(`${label.padEnd(width)}  ${printable(value)}`);
  }
}
