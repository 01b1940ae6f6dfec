/** Downloads a published content into a sink, with as many requests as necessary. */
import type { IncomingMessage } from 'node:http';
import { createWaitReporter } from './context.ts';
import type { Context } from './context.ts';
import { CliError, ServiceError, TransportError, isTransient } from './errors.ts';
import { readBody } from './http.ts';
import type { ProgressItem } from './progress.ts';
import { createPatience, sleep } from './retry.ts';

/** Takes the bytes of a download, in order. */
export interface Sink {
  /** How many bytes it has. */
  position(): number;
  /** The ETag of the content that these bytes belong to; null when not known. */
  etag(): string | null;
  /** Drops all bytes. @throws when that is not possible. */
  reset(): Promise<void>;
  /** Called before the first byte of each answer, with the answer's ETag. */
  begin(etag: string | null): Promise<void>;
  write(chunk: Buffer): Promise<void>;
}

export interface DownloadOptions {
  context: Context;
  progress: ProgressItem;
  label: string;
  /** Of the content in bytes; null when not known. */
  size: number | null;
}

/**
 * Fills the sink with the content at `url`, from the sink's position on.
 *
 * @returns the number of bytes received.
 * @throws CliError `not_found`, `size_differs` or `gave_up`, ServiceError, or the sink's error.
 */
export async function download(url: string, sink: Sink, options: DownloadOptions): Promise<number> {
  const { context, progress, label } = options;
  const { service, signal } = context;
  const patience = createPatience(service.settings.retryForMs);
  const onWait = createWaitReporter(context, label);
  let receivedBytes = 0;
  let furthest = sink.position();

  async function attempt(): Promise<void> {
    let start = sink.position();
    const etag = sink.etag();
    // Only a strong ETag shows that the rest belongs to the bytes that the sink has (RFC 9110 section 13.1.5).
    if (start > 0 && (etag === null || etag.startsWith('W/'))) {
      await sink.reset();
      start = 0;
    }
    if (start > 0 && start === options.size) return;
    const headers: Record<string, string> = { 'Accept-Encoding': 'identity' };
    if (start > 0 && etag !== null) Object.assign(headers, { Range: `bytes=${start}-`, 'If-Range': etag });
    const { response, etag: found } = await service.download(url, headers, signal);
    try {
      await receive(response, found, start);
    } finally {
      response.destroy();
    }
  }

  async function receive(response: IncomingMessage, etag: string | null, start: number): Promise<void> {
    const status = response.statusCode ?? 0;
    const resumed = status === 206 && startOf(response) === start;
    if (status !== 200 && !resumed) {
      await sink.reset();
      throw new TransportError('range_refused', `the service did not continue at byte ${start}`);
    }
    if (start > 0 && !resumed) await sink.reset();
    const announced = response.headers['content-length'];
    const total = announced === undefined ? options.size : sink.position() + Number(announced);
    if (options.size !== null && total !== null && total !== options.size) {
      throw new CliError('size_differs', `the service offers ${total} bytes instead of ${options.size}`);
    }
    progress.phase('downloading', total);
    progress.jump(sink.position());
    await sink.begin(etag);
    for await (const chunk of readBody(response, { signal, stallTimeoutMs: service.settings.stallTimeoutMs })) {
      await sink.write(chunk);
      receivedBytes += chunk.length;
      // Receiving bytes again is no progress.
      if (sink.position() > furthest) patience.progress();
      furthest = Math.max(furthest, sink.position());
      progress.at(sink.position());
    }
    if (total !== null && sink.position() < total) throw new TransportError('cut', 'the answer ended early');
  }

  for (;;) {
    signal.throwIfAborted();
    try {
      await attempt();
      return receivedBytes;
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error)) throw withoutPath(error);
      const delayMs = patience.next(error);
      onWait({ delayMs, error });
      await sleep(delayMs, signal);
    }
  }
}

function startOf(response: IncomingMessage): number | null {
  const match = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '');
  return match ? Number(match[1]) : null;
}

/** Says in plain words that there is no such content. */
export function withoutPath(error: unknown): unknown {
  if (!(error instanceof ServiceError) || error.status !== 404) return error;
  return new CliError('not_found', 'the service has no content by that name', { cause: error });
}
