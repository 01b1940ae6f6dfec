/** Downloads to a file: into a part file beside it, which gets the name once it is verified, and is kept when it breaks off. */
import { basename } from 'node:path';
import { isWorthParts } from '../core/parts.ts';
import { bytesIn, prefixLength } from '../core/ranges.ts';
import type { Context } from './context.ts';
import { download, type DownloadOptions } from './download.ts';
import { downloadRanges } from './download-ranges.ts';
import { CliError, EXIT } from './errors.ts';
import type { ListParts } from './part-file.ts';
import type { Progress } from './progress.ts';
import { type FileSink, openFileSink } from './sinks.ts';
import type { Streams } from './streams.ts';

/** What is downloaded. */
export interface Fetched {
  url: string;
  /** 32 hexadecimal digits by which a later run finds the part file: an MD5, of the content or of what was asked for. */
  key: string;
  /** In bytes; null when not known. */
  size: number | null;
  /** Reads what is on the disk, and says whether it is right. */
  isIntact(sink: FileSink, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<boolean>;
  /** Of the error where it is not. */
  differs: string;
}

export interface FetchOptions {
  /** Replaces a file that is there. */
  force: boolean;
  streams: Streams;
  /** Finds the part files that earlier runs have left; by default each time anew. */
  listParts?: ListParts;
}

/** @returns how many bytes came, and how many there are. @throws CliError `digest_differs`, `exists`, `busy`, or those of `download`. */
export async function fetchToFile(
  fetched: Fetched,
  target: string,
  { force, streams, listParts }: FetchOptions,
  context: Context,
  progress: Progress,
): Promise<{ receivedBytes: number; size: number }> {
  const { service, signal, output } = context;
  const sink = await openFileSink(target, { serverUrl: service.settings.serverUrl, md5: fetched.key }, listParts);
  const item = progress.item(basename(target));
  let receivedBytes = 0;

  async function fill(): Promise<boolean> {
    const options = { context, progress: item, label: basename(target), size: fetched.size };
    receivedBytes += await fillSink(fetched.url, sink, streams, options);
    item.phase('verifying', sink.position());
    return fetched.isIntact(sink, (bytes) => item.at(bytes), signal);
  }

  try {
    const begunEarlier = bytesIn(sink.held()) > 0;
    let intact = await fill();
    if (!intact && begunEarlier) {
      output.say(`${basename(target)}: what an earlier run left is damaged; downloading all of it again`);
      await sink.reset();
      intact = await fill();
    }
    if (!intact) {
      await sink.reset();
      throw new CliError('digest_differs', fetched.differs);
    }
    await sink.publish(force);
    return { receivedBytes, size: sink.position() };
  } finally {
    item.end();
    await sink.close();
  }
}

/** Downloads what the sink lacks: over several connections where they were asked for, or an earlier run has left gaps. */
async function fillSink(url: string, sink: FileSink, streams: Streams, options: DownloadOptions): Promise<number> {
  const isInOrder = prefixLength(sink.held()) !== null;
  const isOne = streams === 1 || (options.size !== null && !isWorthParts(options.size));
  if (!isOne || !isInOrder) {
    const received = await downloadRanges(url, sink, { ...options, streams });
    if (received !== null) return received;
    if (!isOne) options.context.output.say(`${options.label}: no ranges of it can be had; using one connection`);
    if (!isInOrder) await sink.reset();
  }
  return download(url, sink, options);
}

/**
 * What a download ends with that was interrupted or has given up: its part file is kept, and the command says how to continue.
 *
 * @returns the exit code; null for any other error.
 */
export function keptFor(error: unknown, name: string, { signal, output, againCommand }: Context): number | null {
  if (signal.aborted) {
    output.complain('Interrupted. What has arrived is kept. To continue:');
    output.complain(`  ${againCommand}`);
    return EXIT.interrupted;
  }
  if (!(error instanceof CliError && error.code === 'gave_up')) return null;
  output.complain(`${name}: ${error.message}`);
  output.complain(`What has arrived is kept. To continue: ${againCommand}`);
  return EXIT.failed;
}
