/** Downloads a published content into a file over several connections, each of which requests ranges of it. */
import type { IncomingMessage } from 'node:http';
import { cutIntoParts } from '../core/parts.ts';
import { bytesIn } from '../core/ranges.ts';
import { ask, createWaitReporter } from './context.ts';
import { type DownloadOptions, withoutPath } from './download.ts';
import { CliError, TransportError } from './errors.ts';
import { readBody } from './http.ts';
import { createPatience, sleep } from './retry.ts';
import type { Patience } from './retry.ts';
import type { FileSink } from './sinks.ts';
import { carry, type Streams } from './streams.ts';

/** What the service says of the content. */
interface Offer {
  /** A strong one: only such an ETag shows that ranges belong together (RFC 9110 section 13.1.5). */
  etag: string;
  size: number;
}

/** A range that is missing; its start moves with each byte that comes. */
interface Missing {
  start: number;
  readonly end: number;
}

/** What the connections of a download share. */
interface Download {
  readonly url: string;
  readonly sink: FileSink;
  readonly options: DownloadOptions;
  /** For the content to stay the same. */
  readonly patience: Patience;
  receivedBytes: number;
  /** The most bytes that the sink has had: receiving bytes again is no progress. */
  mostHeld: number;
}

/** Not transient: a single connection cannot go on by itself. */
class ContentChangedError extends CliError {
  constructor() {
    super('changed', 'the content changed while it was being downloaded');
  }
}

/**
 * Fills the sink with what it lacks of the content at `url`.
 *
 * @returns the number of bytes received; null where the service, or something in front of it, sends no ranges of the content.
 * @throws CliError `size_differs` or `gave_up`, ServiceError, or the sink's error.
 */
export async function downloadRanges(
  url: string,
  sink: FileSink,
  options: DownloadOptions & { streams: Streams },
): Promise<number | null> {
  const { context, label, streams } = options;
  const patience = createPatience(context.service.settings.retryForMs);
  const onWait = createWaitReporter(context, label);
  const course: Download = { url, sink, options, patience, receivedBytes: 0, mostHeld: bytesIn(sink.held()) };
  for (;;) {
    try {
      const offer = await ask(context, label, () => lookAt(url, options));
      if (offer === null) return null;
      await fill(course, offer, streams);
      return course.receivedBytes;
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ContentChangedError)) throw withoutPath(error);
      const delayMs = patience.next(error);
      onWait({ delayMs, error });
      await sleep(delayMs, context.signal);
    }
  }
}

/** Requests one byte. @returns null where no range of the content can be had, or none that is known to belong to it. */
async function lookAt(url: string, { context, size: expected }: DownloadOptions): Promise<Offer | null> {
  const { service, signal } = context;
  const { stallTimeoutMs } = service.settings;
  // Not the first one, where there are others: what begins with it counts as a download of a link.
  const Range = expected !== null && expected > 1 ? 'bytes=1-1' : 'bytes=0-0';
  const { response, etag } = await service.download(url, { 'Accept-Encoding': 'identity', Range }, signal);
  try {
    const size = response.statusCode === 206 ? (readContentRange(response)?.size ?? null) : null;
    if (size === null || etag === null || etag.startsWith('W/')) return null;
    // Read to its end, the connection can be used again.
    for await (const chunk of readBody(response, { signal, stallTimeoutMs })) if (chunk.length > 1) return null;
    return { etag, size };
  } finally {
    response.destroy();
  }
}

/** @throws ContentChangedError */
async function fill(course: Download, offer: Offer, streams: Streams): Promise<void> {
  const { sink, options } = course;
  const { context, progress, label } = options;
  if (options.size !== null && offer.size !== options.size) {
    throw new CliError('size_differs', `the service offers ${offer.size} bytes instead of ${options.size}`);
  }
  if (sink.etag() !== offer.etag) await sink.reset();
  await sink.begin(offer.etag);
  await sink.scatter(offer.size);
  progress.phase('downloading', offer.size);
  progress.jump(bytesIn(sink.held()));
  await carry<Missing>({
    streams,
    parts: cutIntoParts(offer.size, sink.held()).map((range) => ({ ...range })),
    signal: context.signal,
    retryForMs: context.service.settings.retryForMs,
    attempt: (part, stream) => receive(course, offer, part, stream),
    movedBytes: () => course.receivedBytes,
    onWait: createWaitReporter(context, label),
  });
}

/** One request for what is left of a range. */
async function receive(
  course: Download,
  offer: Offer,
  part: Missing,
  stream: { signal: AbortSignal; patience: Patience },
): Promise<void> {
  const { sink, options } = course;
  const { service } = options.context;
  const { stallTimeoutMs } = service.settings;
  const { signal } = stream;
  const range = `bytes=${part.start}-${part.end - 1}`;
  const headers = { 'Accept-Encoding': 'identity', Range: range, 'If-Range': offer.etag };
  const { response, etag } = await service.download(course.url, headers, signal);
  try {
    if (etag !== offer.etag) throw new ContentChangedError();
    if (response.statusCode !== 206 || readContentRange(response)?.start !== part.start) {
      throw new TransportError('range_refused', `the service did not send the range ${range}`);
    }
    for await (const chunk of readBody(response, { signal, stallTimeoutMs })) {
      course.receivedBytes += chunk.length;
      const bytes = chunk.subarray(0, part.end - part.start);
      await sink.writeAt(part.start, bytes);
      part.start += bytes.length;
      const held = bytesIn(sink.held());
      if (held > course.mostHeld) for (const one of [stream.patience, course.patience]) one.progress();
      course.mostHeld = Math.max(course.mostHeld, held);
      options.progress.at(held);
    }
    if (part.start < part.end) throw new TransportError('cut', 'the answer ended early');
  } finally {
    response.destroy();
  }
}

/** The header Content-Range of an answer with one range (RFC 9110 section 14.4). */
function readContentRange(response: IncomingMessage): { start: number; size: number | null } | null {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '');
  if (!match) return null;
  return { start: Number(match[1]), size: match[2] === '*' ? null : Number(match[2]) };
}
