/** `tidemark get`: downloads a published content and verifies it. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../context.ts';
import { download } from '../download.ts';
import { CliError, EXIT, UsageError } from '../errors.ts';
import { type Fetched, fetchToFile, keptFor } from '../fetch-to-file.ts';
import { contentNamed, findFile } from '../find-file.ts';
import { formatDuration, formatSize, printable } from '../format.ts';
import { createProgress } from '../progress.ts';
import type { Progress } from '../progress.ts';
import { safeName } from '../safe-name.ts';
import { createStdoutSink, refuseTaken } from '../sinks.ts';
import type { Streams } from '../streams.ts';

export interface GetOptions {
  /** A file, a folder, or `-`. */
  output: string | undefined;
  force: boolean;
  streams: Streams;
}

/** A content that is wanted. */
export interface Wanted {
  id: string | null;
  name: string;
  md5: string;
  size: number | null;
  url: string;
}

/** Downloads a file, or the content with an MD5. */
export async function runGet(given: string, options: GetOptions, context: Context): Promise<number> {
  if (options.output === '-' && options.streams !== 1) {
    throw new UsageError('--streams goes with a file: standard output takes the bytes one after another.');
  }
  const wanted = await resolveWanted(given, context);
  const progress = createProgress(context.output, { files: 1, bytes: wanted.size ?? 0 });
  const startedAt = performance.now();
  try {
    if (options.output === '-') return await getToStdout(wanted, context, progress);
    const target = await targetPath(options.output, wanted.name);
    if (!options.force) await refuseTaken(target);
    const { receivedBytes, size } = await fetchToFile(fetchedOf(wanted), target, options, context, progress);
    progress.stop();
    const { output } = context;
    const durationMs = Math.round(performance.now() - startedAt);
    output.say(`${target}: ${formatSize(size)} in ${formatDuration(durationMs)}, MD5 verified`);
    if (output.modes.json) {
      const { id, md5 } = wanted;
      output.record({ id, path: target, status: 'downloaded', md5, size, receivedBytes, durationMs });
    } else {
      output.result(printable(target));
    }
    return EXIT.done;
  } catch (error) {
    progress.stop();
    const code = options.output === '-' ? null : keptFor(error, wanted.name, context);
    if (code !== null) return code;
    throw error;
  } finally {
    progress.stop();
  }
}

/** What `fetchToFile` needs of it. */
export function fetchedOf({ url, md5, size }: Pick<Wanted, 'url' | 'md5' | 'size'>): Fetched {
  return {
    url,
    key: md5,
    size,
    isIntact: async (sink, onProgress, signal) => (await sink.digest(onProgress, signal)) === md5,
    differs: `what arrived does not have the MD5 ${md5}; it was dropped`,
  };
}

/** Writes a content to standard output. */
export async function getToStdout(wanted: Wanted, context: Context, progress: Progress): Promise<number> {
  const sink = createStdoutSink();
  const item = progress.item(wanted.name);
  await download(wanted.url, sink, { context, progress: item, label: wanted.name, size: wanted.size });
  item.end();
  if (sink.digest() === wanted.md5) return EXIT.done;
  throw new CliError('digest_differs', `what was written does not have the MD5 ${wanted.md5}`);
}

async function resolveWanted(given: string, context: Context): Promise<Wanted> {
  try {
    return await findFile(given, 'read', context);
  } catch (error) {
    const name = contentNamed(given);
    if (!(error instanceof CliError && error.code === 'not_found') || name === null) throw error;
    // The catalog shows no such file to us, but the content may be readable by its address (PUBLIC_READ).
    const [md5 = ''] = name.split('-', 1);
    return { id: null, name, md5, size: null, url: `${context.service.settings.serverUrl}/files/${name}` };
  }
}

/** The path to write to. The name in the catalog is untrusted: it becomes the name of a file, never a path. */
export async function targetPath(output: string | undefined, name: string): Promise<string> {
  const safe = safeName(name);
  if (output === undefined) return safe;
  const isFolder = output.endsWith('/') || ((await stat(output).catch(() => null))?.isDirectory() ?? false);
  return isFolder ? join(output, safe) : output;
}
