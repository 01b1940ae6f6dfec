/** `tidemark get --recursive`: brings a folder back, each file verified and resumed by itself. */
import type { FileJson } from '../../../server/wire/files.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { ask } from '../context.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT, codeOf, describeError } from '../errors.ts';
import { fetchToFile, keptFor } from '../fetch-to-file.ts';
import { isHopeless } from '../first-contact.ts';
import { formatDuration, formatSize, printable } from '../format.ts';
import { type LocalTree, openLocalTree } from '../local-tree.ts';
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
}

/** The most files in one request. */
const PAGE = 1000;

interface Run {
  folder: string;
  tree: LocalTree;
  options: GetFolderOptions;
  context: Context;
  progress: Progress;
  counts: Record<'downloaded' | 'present' | 'failed', number>;
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
  try {
    for (const file of files) {
      const code = await getOne(file, { folder, tree, options, context, progress, counts });
      if (code !== null) return code;
    }
  } finally {
    progress.stop();
  }
  const { downloaded, present, failed } = counts;
  const duration = formatDuration(performance.now() - startedAt);
  context.output.say(`${downloaded} downloaded, ${present} there already, ${failed} failed, in ${duration}`);
  return failed === 0 ? EXIT.done : EXIT.failed;
}

async function listAll(folder: string, context: Context): Promise<FileJson[]> {
  const { service, signal } = context;
  const files: FileJson[] = [];
  let cursor: string | null = null as string | null;
  do {
    const from = cursor === null ? {} : { cursor };
    const question = { prefix: folder, recursive: 'true' as const, limit: PAGE, ...from };
    const page = await ask(context, null, () => service.list(question, signal)).catch((error: unknown) => {
      throw isNotThere(error) ? notThere(folder, error) : error;
    });
    files.push(...page.files);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return files;
}

/** @returns an exit code where nothing else can be downloaded. */
async function getOne(file: FileJson, run: Run): Promise<number | null> {
  const { context, counts } = run;
  const { output, signal } = context;
  // A file that was moved out of the folder meanwhile keeps its whole path.
  const inside = file.name.startsWith(`${run.folder}/`) ? file.name.slice(run.folder.length + 1) : file.name;
  const startedAt = performance.now();
  try {
    const { path, status, receivedBytes } = await bring(file, inside, run);
    await run.tree.note(path);
    counts[status] += 1;
    const durationMs = Math.round(performance.now() - startedAt);
    if (status === 'downloaded')
      output.say(`${path}: ${formatSize(file.size)} in ${formatDuration(durationMs)}, MD5 verified`);
    const { id, md5, size } = file;
    if (output.modes.json) output.record({ id, path, status, md5, size, receivedBytes, durationMs });
    else output.result(printable(path));
    return null;
  } catch (error) {
    const kept = signal.aborted || isHopeless(error) ? keptFor(error, file.name, context) : null;
    if (kept !== null) return kept;
    if (isHopeless(error)) throw error;
    counts.failed += 1;
    const message = describeError(error);
    output.complain(`${printable(file.name)}: ${message}`);
    if (output.modes.json)
      output.record({ id: file.id, name: file.name, status: 'failed', error: { code: codeOf(error), message } });
    return null;
  }
}

async function bring(
  file: FileJson,
  name: string,
  { tree, options, context, progress }: Run,
): Promise<{ path: string; status: 'downloaded' | 'present'; receivedBytes: number }> {
  const { path, there } = await tree.place(name);
  if (await isPresent(path, there, file, context.signal)) return { path, status: 'present', receivedBytes: 0 };
  if (there && !options.force) throw new CliError('exists', `${path} is there and differs; --force replaces it`);
  const { receivedBytes } = await fetchToFile(fetchedOf(file), path, options, context, progress);
  return { path, status: 'downloaded', receivedBytes };
}
