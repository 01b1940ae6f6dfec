/** `tidemark get --recursive`: brings a folder back, each file verified and resumed by itself. */
import type { FileJson } from '../../../server/wire/files.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { ask } from '../context.ts';
import type { Context } from '../context.ts';
import { filesAtOnce } from '../descriptors.ts';
import { CliError, EXIT, codeOf, describeError } from '../errors.ts';
import { fetchToFile, keptFor } from '../fetch-to-file.ts';
import { isHopeless } from '../first-contact.ts';
import { formatDuration, formatSize, printable } from '../format.ts';
import { type LocalTree, openLocalTree } from '../local-tree.ts';
import { type ListParts, listPartsOnce } from '../part-file.ts';
import { isPresent } from '../present.ts';
import { createProgress } from '../progress.ts';
import type { Progress } from '../progress.ts';
import { safeName } from '../safe-name.ts';
import type { Streams } from '../streams.ts';
import { folderPath, isNotThere, notThere } from './folders.ts';
import { fetchedOf } from './get.ts';

export interface GetFolderOptions {
  /** Replaces files that are there and differ. */
  force: boolean;
  streams: Streams;
  /** Files at once. */
  parallel: number;
}

/** The most files in one request. */
const PAGE = 1000;

interface Run {
  folder: string;
  files: readonly FileJson[];
  /** Index of the next file to download. */
  next: number;
  tree: LocalTree;
  options: GetFolderOptions;
  /** Reads each folder once. */
  listParts: ListParts;
  context: Context;
  progress: Progress;
  counts: Record<'downloaded' | 'present' | 'failed', number>;
  /** The error that every other file would meet as well, and the file that met it; null while there is none. */
  ended: { name: string; error: unknown } | null;
}

/** Downloads all files below a folder. @param meant - `target`: where to; by default a folder here of the same name. */
export async function runGetFolder(
  meant: { folder: string; target?: string },
  options: GetFolderOptions,
  context: Context,
): Promise<number> {
  const folder = folderPath(meant.folder);
  const startedAt = performance.now();
  const files = await listAll(folder, context);
  const tree = await openLocalTree(meant.target ?? (folder === '' ? '.' : safeName(lastPart(folder))));
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const progress = createProgress(context.output, { files: files.length, bytes });
  const counts = { downloaded: 0, present: 0, failed: 0 };
  const shared = { folder, files, tree, options, listParts: listPartsOnce(), context, progress, counts };
  const run: Run = { ...shared, next: 0, ended: null };
  const workers = Math.min(options.parallel, filesAtOnce(options.streams), files.length);
  try {
    await Promise.all(Array.from({ length: workers }, () => work(run)));
  } finally {
    progress.stop();
  }
  if (run.ended) {
    const { name, error } = run.ended;
    const kept = keptFor(error, name, context);
    if (kept === null) throw error;
    return kept;
  }
  const { downloaded, present, failed } = counts;
  const duration = formatDuration(performance.now() - startedAt);
  context.output.say(`${downloaded} downloaded, ${present} there already, ${failed} failed, in ${duration}`);
  return failed === 0 ? EXIT.done : EXIT.failed;
}

/** All files below the folder, each once: a file whose folder moves meanwhile may be listed under its earlier path, too. */
async function listAll(folder: string, context: Context): Promise<FileJson[]> {
  const { service, signal } = context;
  const files = new Map<string, FileJson>();
  let cursor: string | null = null as string | null;
  do {
    const from = cursor === null ? {} : { cursor };
    const question = { prefix: folder, recursive: 'true' as const, limit: PAGE, ...from };
    const page = await ask(context, null, () => service.list(question, signal)).catch((error: unknown) => {
      throw isNotThere(error) ? notThere(folder, error) : error;
    });
    for (const file of page.files) files.set(file.id, file);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return [...files.values()];
}

/** Downloads one file after another, until none is left or an error would meet all others as well. */
async function work(run: Run): Promise<void> {
  for (;;) {
    const file = run.files[run.next];
    run.next += 1;
    if (file === undefined || run.ended !== null) return;
    await getOne(file, run);
  }
}

async function getOne(file: FileJson, run: Run): Promise<void> {
  const { context, counts } = run;
  const { output, signal } = context;
  // A file that was moved out of the folder meanwhile keeps its whole path.
  const inside = file.name.startsWith(`${run.folder}/`) ? file.name.slice(run.folder.length + 1) : file.name;
  const startedAt = performance.now();
  try {
    const { path, status, receivedBytes } = await bring(file, inside, run);
    counts[status] += 1;
    const durationMs = Math.round(performance.now() - startedAt);
    if (status === 'downloaded')
      output.say(`${path}: ${formatSize(file.size)} in ${formatDuration(durationMs)}, MD5 verified`);
    const { id, md5, size } = file;
    if (output.modes.json) output.record({ id, path, status, md5, size, receivedBytes, durationMs });
    else output.result(printable(path));
  } catch (error) {
    if (signal.aborted || isHopeless(error)) {
      run.ended ??= { name: file.name, error };
      return;
    }
    counts.failed += 1;
    const message = describeError(error);
    output.complain(`${printable(file.name)}: ${message}`);
    if (output.modes.json)
      output.record({ id: file.id, name: file.name, status: 'failed', error: { code: codeOf(error), message } });
  }
}

async function bring(
  file: FileJson,
  name: string,
  { tree, options, listParts, context, progress }: Run,
): Promise<{ path: string; status: 'downloaded' | 'present'; receivedBytes: number }> {
  const { path, there, leave } = await tree.place(name);
  try {
    if (await isPresent(path, there, file, context.signal)) return { path, status: 'present', receivedBytes: 0 };
    if (there && !options.force) throw new CliError('exists', `${path} is there and differs; --force replaces it`);
    const { receivedBytes } = await fetchToFile(fetchedOf(file), path, { ...options, listParts }, context, progress);
    return { path, status: 'downloaded', receivedBytes };
  } finally {
    await leave();
  }
}
