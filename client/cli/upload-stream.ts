/** A stream of bytes, from its first to a verified address: standard input, and files whose size says nothing. */
import type { Readable } from 'node:stream';
import { lookup } from 'mime-types';
import type { FileJson } from '../../server/wire/files.ts';
import { createWaitReporter } from './context.ts';
import type { Context } from './context.ts';
import type { ProgressItem } from './progress.ts';
import { createStreamSource } from './stdin-source.ts';
import { transfer } from './transfer.ts';
import { verifyPublished } from './verify.ts';

const DEFAULT_CHUNK_BYTES = 8 * 1024 * 1024;

/** Uploads what the stream gives. Its digests are known at the end only, so nothing is instant here. */
export async function uploadStream(
  stream: Readable,
  options: { context: Context; progress: ProgressItem; chunkSizeBytes: number | null; name: string },
): Promise<{ status: 'uploaded'; file: FileJson; sentBytes: number; resumedFrom: number }> {
  const { context, progress, name } = options;
  const { signal } = context;
  const chunkSizeBytes = options.chunkSizeBytes ?? DEFAULT_CHUNK_BYTES;
  const source = createStreamSource(stream, chunkSizeBytes);
  // Nothing else wakes a read that waits for the other end of a pipe.
  const stop = (): void => {
    stream.destroy(signal.reason as Error);
  };
  signal.addEventListener('abort', stop, { once: true });
  // The next read reports an error; without a listener the error would end the process before that.
  stream.on('error', () => {});
  try {
    progress.phase('uploading', null);
    const sent = await transfer({
      service: context.service,
      source,
      metadata: { filename: name, filetype: lookup(name) || 'application/octet-stream' },
      uploadUrl: null,
      chunkSizeBytes,
      signal,
      onUploadUrl: () => Promise.resolve(),
      // The creation carried no bytes, and without digests the upload cannot be found again.
      findCreated: () => Promise.resolve({ uploadUrl: null, fileId: null }),
      onUploadGone: () => Promise.resolve(),
      onOffset: (offset) => progress.jump(offset),
      onSending: (position) => progress.at(position),
      onWait: createWaitReporter(context, name),
      onTakenOver: () => context.output.say(`${name}: another client has taken over this upload; watching`),
    });
    const file = await verifyPublished(context, sent, {
      name,
      ...source.summary(),
      begun: null,
      isShared: sent.shared,
    });
    return { status: 'uploaded', file, sentBytes: sent.sentBytes, resumedFrom: 0 };
  } finally {
    signal.removeEventListener('abort', stop);
    stream.destroy();
  }
}
