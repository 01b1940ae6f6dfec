/** `tidemark get`: a published content back to the disk, verified. */
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ask } from '../context.ts';
import type { Context } from '../context.ts';
import { download } from '../download.ts';
import { CliError, EXIT, ServiceError } from '../errors.ts';
import { formatDuration, formatSize, printable } from '../format.ts';
import { createProgress } from '../progress.ts';
import type { Progress } from '../progress.ts';
import { createStdoutSink, openFileSink, refuseTaken } from '../sinks.ts';
import type { FileSink } from '../sinks.ts';

export interface GetOptions {
  /** A file, a folder, or `-`. */
  output: string | undefined;
  force: boolean;
}

interface Wanted {
  id: string | null;
  name: string;
  md5: string;
  size: number | null;
  url: string;
}

/** Downloads the file with this id or address, or the content with this MD5 or address. */
export async function runGet(what: string, options: GetOptions, context: Context): Promise<number> {
  const idOrMd5 = nameOf(what);
  const wanted = await ask(context, null, () => resolveWanted(idOrMd5, context));
  const progress = createProgress(context.output, { files: 1, bytes: wanted.size ?? 0 });
  const startedAt = performance.now();
  try {
    if (options.output === '-') return await getToStdout(wanted, context, progress);
    const target = await targetPath(options.output, wanted.name);
    if (!options.force) await refuseTaken(target);
    const { receivedBytes, size } = await getToFile(wanted, target, options.force, context, progress);
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
    if (context.signal.aborted && options.output !== '-') {
      progress.stop();
      context.output.complain('Interrupted. What has arrived is kept. To go on:');
      context.output.complain(`  ${context.againCommand}`);
      return EXIT.interrupted;
    }
    throw error;
  } finally {
    progress.stop();
  }
}

async function getToFile(
  wanted: Wanted,
  target: string,
  force: boolean,
  context: Context,
  progress: Progress,
): Promise<{ receivedBytes: number; size: number }> {
  const { service, signal, output } = context;
  const sink = await openFileSink(target, { serverUrl: service.settings.serverUrl, md5: wanted.md5 });
  const item = progress.item(basename(target));
  let receivedBytes = 0;

  async function fill(): Promise<boolean> {
    const options = { context, progress: item, label: basename(target), size: wanted.size };
    receivedBytes += await download(wanted.url, sink, options);
    item.phase('verifying', sink.position());
    return (await sink.digest((bytes) => item.at(bytes), signal)) === wanted.md5;
  }

  try {
    const begunEarlier = sink.position() > 0;
    let intact = await fill();
    if (!intact && begunEarlier) {
      output.say(`${basename(target)}: what an earlier run left is damaged; downloading all of it again`);
      await sink.reset();
      intact = await fill();
    }
    if (!intact) {
      await discard(sink);
      throw new CliError('digest_differs', `what arrived does not have the MD5 ${wanted.md5}; it was dropped`);
    }
    await sink.publish(force);
    return { receivedBytes, size: sink.position() };
  } finally {
    item.end();
    await sink.close();
  }
}

async function discard(sink: FileSink): Promise<void> {
  await sink.reset();
  await sink.begin(null);
}

async function getToStdout(wanted: Wanted, context: Context, progress: Progress): Promise<number> {
  const sink = createStdoutSink();
  const item = progress.item(wanted.name);
  await download(wanted.url, sink, { context, progress: item, label: wanted.name, size: wanted.size });
  item.end();
  if (sink.digest() === wanted.md5) return EXIT.done;
  throw new CliError('digest_differs', `what was written does not have the MD5 ${wanted.md5}`);
}

/**
 * The id or MD5 in an address of the service; anything else is one itself. The host does not
 * count: the service may have another name for others, and the token goes to the one that was set.
 */
function nameOf(what: string): string {
  if (!/^https?:\/\//i.test(what)) return what;
  const { pathname } = URL.canParse(what) ? new URL(what) : { pathname: '' };
  const found = /\/api\/files\/([^/]+)(?:\/content)?$|\/files\/([0-9a-f]{32}(?:-\d+)?)(?:\.[^/]*)?$/i.exec(pathname);
  const name = found?.[1] ?? found?.[2];
  if (name !== undefined) return name;
  throw new CliError('not_found', `${printable(what)} is not the address of a file`);
}

async function resolveWanted(idOrMd5: string, context: Context): Promise<Wanted> {
  const { service, signal } = context;
  const md5 = /^([0-9a-f]{32})(-\d+)?$/i.exec(idOrMd5)?.[1]?.toLowerCase();
  if (md5 !== undefined && md5.length === idOrMd5.length) {
    const answer = await service.check({ md5 }, signal);
    if (answer.status === 'exists' && answer.file) return answer.file;
  }
  try {
    return await service.file(idOrMd5, signal);
  } catch (error) {
    if (!(error instanceof ServiceError) || error.status !== 404) throw error;
    if (md5 === undefined) throw new CliError('not_found', `there is no file ${printable(idOrMd5)}`, { cause: error });
    // Readable by its address all the same, where the service lets anyone read.
    const name = idOrMd5.toLowerCase();
    return { id: null, name, md5, size: null, url: `${service.settings.serverUrl}/files/${name}` };
  }
}

/** Where to: the name in the catalog is data from elsewhere and never gets to be more than a name. */
async function targetPath(output: string | undefined, name: string): Promise<string> {
  const plain = basename(printable(name).replaceAll('\\', '_'));
  const safe = plain === '' || plain === '.' || plain === '..' ? 'download' : plain;
  if (output === undefined) return safe;
  const isFolder = output.endsWith('/') || ((await stat(output).catch(() => null))?.isDirectory() ?? false);
  return isFolder ? join(output, safe) : output;
}
