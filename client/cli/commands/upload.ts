/** `tidemark upload`: files, folders and standard input. */
import type { FileJson } from '../../../server/wire/files.ts';
import { collectPaths } from '../collect-paths.ts';
import type { FoundPath } from '../collect-paths.ts';
import type { Context } from '../context.ts';
import { filesAtOnce } from '../descriptors.ts';
import { pruneDigests } from '../digests.ts';
import { CliError, EXIT, InterruptedError, UsageError, codeOf, describeError } from '../errors.ts';
import { isHopeless } from '../first-contact.ts';
import { formatDuration, formatSize, printable } from '../format.ts';
import { createJournal } from '../journal.ts';
import { prunePartsJournal } from '../parts-journal.ts';
import { createProgress } from '../progress.ts';
import type { Progress, ProgressItem } from '../progress.ts';
import { refuseSameNames } from '../same-names.ts';
import type { Streams } from '../streams.ts';
import { uploadFile } from '../upload-file.ts';
import { uploadStream } from '../upload-stream.ts';

export interface UploadOptions {
  recursive: boolean;
  parallel: number;
  chunkSizeBytes: number | null;
  /** Connections for each file. */
  streams: Streams;
  /** The name in the catalog, for a single file or standard input. */
  name: string | undefined;
  /** Replaces a file that has the name, in place of keeping both. */
  replace: boolean;
}

interface Outcome {
  status: 'uploaded' | 'instant';
  file: FileJson;
  sentBytes: number;
  resumedFrom: number;
}

type Counts = Record<'uploaded' | 'instant' | 'failed' | 'interrupted', number>;

const STDIN = '-';

/** What the files of a run share. */
interface Batch {
  readonly found: readonly FoundPath[];
  readonly options: UploadOptions;
  readonly context: Context;
  readonly progress: Progress;
  readonly exclusively: ReturnType<typeof createExclusion>;
  readonly counts: Counts;
  /** Index of the next file to upload. */
  next: number;
  /** The error that every other file would meet as well; undefined while there is none. */
  hopeless: unknown;
}

/** Uploads all of `paths`. @returns the exit code. */
export async function runUpload(paths: readonly string[], options: UploadOptions, context: Context): Promise<number> {
  const { output, signal } = context;
  refuseWrongUse(paths, options);
  const fromStdin = paths.includes(STDIN);
  let found: FoundPath[] = [{ path: STDIN, name: STDIN, size: 0 }];
  try {
    const skip = (path: string, why: string): void => output.say(`${path}: skipped, ${why}`);
    if (!fromStdin) found = await collectPaths(paths, { recursive: options.recursive, signal, skip });
  } catch (error) {
    if (signal.aborted) return sayInterrupted(context, fromStdin);
    throw error;
  }
  if (options.name !== undefined && found.length > 1) throw new UsageError('--name goes with a single file.');
  if (options.replace) refuseSameNames(found);
  if (found.length === 0) output.say('There is nothing to upload.');
  await Promise.all([createJournal(context.service.settings.serverUrl).prune(), prunePartsJournal(), pruneDigests()]);

  const startedAt = performance.now();
  const bytes = found.reduce((sum, { size }) => sum + size, 0);
  const progress = createProgress(output, { files: found.length, bytes });
  const counts: Counts = { uploaded: 0, instant: 0, failed: 0, interrupted: 0 };
  const exclusively = createExclusion();
  const batch: Batch = { found, options, context, progress, exclusively, counts, next: 0, hopeless: undefined };
  const workers = Math.min(options.parallel, filesAtOnce(options.streams), found.length);
  await Promise.all(Array.from({ length: workers }, () => work(batch)));
  progress.stop();
  if (found.length > 1)
    output.say(`${describeCounts(counts, found.length)}, in ${formatDuration(performance.now() - startedAt)}`);
  if (signal.aborted) return sayInterrupted(context, fromStdin);
  return counts.failed === 0 ? EXIT.done : EXIT.failed;
}

/** @throws UsageError */
function refuseWrongUse(paths: readonly string[], { name, streams }: UploadOptions): void {
  const fromStdin = paths.includes(STDIN);
  if (fromStdin && streams !== 1) {
    throw new UsageError('--streams goes with files: standard input gives its bytes one after another.');
  }
  if (fromStdin && name === undefined) {
    throw new UsageError('Standard input has no name of its own: give one with --name.');
  }
  if (fromStdin && paths.indexOf(STDIN) !== paths.lastIndexOf(STDIN)) {
    throw new UsageError('Standard input (-) can be read once only.');
  }
  if (name !== undefined && paths.length > 1) throw new UsageError('--name goes with a single file.');
}

/** Uploads one file after another, until none is left or an error would meet all others as well. */
async function work(batch: Batch): Promise<void> {
  for (;;) {
    const item = batch.found[batch.next];
    batch.next += 1;
    if (item === undefined || batch.context.signal.aborted || batch.hopeless !== undefined) return;
    await uploadOne(item, batch);
  }
}

async function uploadOne(item: FoundPath, batch: Batch): Promise<void> {
  const { options, context, counts } = batch;
  const { signal } = context;
  const label = item.path === STDIN ? (options.name ?? STDIN) : item.path;
  const progress = batch.progress.item(label);
  const startedAt = performance.now();
  try {
    const outcome = await send(item, batch, progress);
    progress.end();
    counts[outcome.status] += 1;
    const sentName = options.name ?? item.name;
    reportSuccess(context, label, item.path, outcome, performance.now() - startedAt, sentName);
  } catch (error) {
    progress.end();
    const cause: unknown = signal.aborted ? signal.reason : error;
    counts[cause instanceof InterruptedError ? 'interrupted' : 'failed'] += 1;
    if (isHopeless(cause)) batch.hopeless ??= cause;
    reportFailure(context, label, item.path, cause, performance.now() - startedAt);
  }
}

async function send(item: FoundPath, batch: Batch, progress: ProgressItem): Promise<Outcome> {
  if (item.error !== undefined) throw item.error;
  const { context, exclusively } = batch;
  const { chunkSizeBytes, streams, replace } = batch.options;
  const name = batch.options.name ?? item.name;
  const common = { context, progress, chunkSizeBytes, name, ...(replace ? { onConflict: 'replace' as const } : {}) };
  return item.path === STDIN
    ? uploadStream(process.stdin, common)
    : uploadFile(item.bytes ?? item.path, { ...common, streams, exclusively });
}

function describeCounts({ uploaded, instant, failed, interrupted }: Counts, all: number): string {
  const left = all - uploaded - instant - failed - interrupted;
  return (
    `${uploaded} uploaded, ${instant} instant, ${failed} failed` +
    `${interrupted === 0 ? '' : `, ${interrupted} interrupted`}${left === 0 ? '' : `, ${left} not begun`}`
  );
}

function sayInterrupted(context: Context, fromStdin: boolean): number {
  if (fromStdin) {
    context.output.complain('Interrupted. An upload from standard input cannot be resumed: begin it again.');
  } else {
    context.output.complain('Interrupted. What has arrived is kept. To continue:');
    context.output.complain(`  ${context.againCommand}`);
  }
  return EXIT.interrupted;
}

function reportSuccess(
  context: Context,
  label: string,
  path: string,
  outcome: Outcome,
  durationMs: number,
  sentName: string,
): void {
  const { output } = context;
  const { file, status, sentBytes, resumedFrom } = outcome;
  output.say(`${label}: ${describe(outcome, durationMs)}`);
  // The service removes from a name what no name may have.
  if (file.name !== sentName) output.say(`${label}: the service calls it ${file.name}`);
  if (output.modes.json) {
    output.record({
      path,
      status,
      url: file.url,
      id: file.id,
      name: file.name,
      md5: file.md5,
      size: file.size,
      sentBytes,
      resumedFrom,
      durationMs: Math.round(durationMs),
    });
  } else {
    output.result(printable(file.url));
  }
}

function describe({ status, file, sentBytes, resumedFrom }: Outcome, durationMs: number): string {
  if (status === 'instant') return `instant, the service has these ${formatSize(file.size)} already`;
  const rate = sentBytes > 0 ? ` (${formatSize((1000 * sentBytes) / Math.max(1, durationMs))}/s)` : '';
  const resumed = resumedFrom > 0 ? `, resumed at ${formatSize(resumedFrom)}` : '';
  return `uploaded ${formatSize(file.size)} in ${formatDuration(durationMs)}${rate}${resumed}, MD5 verified`;
}

function reportFailure(context: Context, label: string, path: string, error: unknown, durationMs: number): void {
  const { output } = context;
  const message = describeError(error);
  if (!(error instanceof InterruptedError)) {
    // The message of a system error begins with the path already.
    output.complain(message.startsWith(`${label}: `) ? message : `${label}: ${message}`);
    if (error instanceof CliError && error.code === 'gave_up') {
      output.complain(`What has arrived is kept. To continue: ${context.againCommand}`);
    }
    if (process.env['TIDEMARK_DEBUG'] === '1' && error instanceof Error) output.complain(error.stack ?? '');
  }
  if (output.modes.json) {
    const status = error instanceof InterruptedError ? 'interrupted' : 'failed';
    output.record({ path, status, error: { code: codeOf(error), message }, durationMs: Math.round(durationMs) });
  }
}

/** Runs tasks of the same key one after another. */
function createExclusion(): <T>(key: string, run: () => Promise<T>) => Promise<T> {
  const tails = new Map<string, Promise<unknown>>();
  return async (key, run) => {
    const before = tails.get(key) ?? Promise.resolve();
    const mine = before.then(run, run);
    const tail = mine.catch(() => {});
    tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (tails.get(key) === tail) tails.delete(key);
    }
  };
}
