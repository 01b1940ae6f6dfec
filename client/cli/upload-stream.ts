/** Uploads a stream and verifies what was published: standard input, and files whose size is not what reading them gives. */
import type { Readable } from 'node:stream';
import { lookup } from 'mime-types';
import type { FileJson, OnConflictJson } from '../../server/wire/files.ts';
import { createWaitReporter } from './context.ts';
import type { Context } from './context.ts';
import type { ProgressItem } from './progress.ts';
import { createStreamSource } from './stdin-source.ts';
import { transfer } from './transfer.ts';
import { verifyPublished } from './verify.ts';

const DEFAULT_CHUNK_BYTES = 8 * 1024 * 1024;

/** The key of the metadata that says what becomes of another file that has the name. */
export function onConflictOf({ onConflict }: { onConflict?: OnConflictJson | undefined }): Record<string, string> {
  return onConflict ? { onconflict: onConflict } : {};
}

/**
 * Uploads a stream. Its digests are known only at its end, so it is never instant.
 *
 * @param options.chunkSizeBytes - how much is kept in memory to be sent again; null for the default.
 */
export async function uploadStream(
  stream: Readable,
  options: {
    context: Context;
    progress: ProgressItem;
    chunkSizeBytes: number | null;
    name: string;
    onConflict?: OnConflictJson | undefined;
  },
): Promise<{ status: 'uploaded'; file: FileJson; sentBytes: number; resumedFrom: number }> {
  const { context, progress, name } = options;
  const { signal } = context;
  const chunkSizeBytes = options.chunkSizeBytes ?? DEFAULT_CHUNK_BYTES;
  const source = createStreamSource(stream, chunkSizeBytes);
  // Only this ends a read that waits for the other end of a pipe.
  const stop = (): void => {
    stream.destroy(signal.reason as Error);
  };
  signal.addEventListener('abort', stop, { once: true });
  // The next read reports the error. Without a listener, the error would end the process before that.
  stream.on('error', () => {});
  try {
    progress.phase('uploading', null);
    const sent = await transfer({
      service: context.service,
      source,
      metadata: { filename: name, filetype: lookup(name) || 'application/octet-stream', ...onConflictOf(options) },
      uploadUrl: null,
      chunkSizeBytes,
      signal,
      onUploadUrl: () => Promise.resolve(),
      // Without digests, the created upload cannot be found. It has no bytes, so nothing is lost.
      findCreated: () => Promise.resolve({ uploadUrl: null, fileId: null }),
      onUploadGone: () => Promise.resolve(),
      onOffset: (offset) => progress.jump(offset),
      onSending: (position) => progress.at(position),
      onWait: createWaitReporter(context, name),
      onTakenOver: () => context.output.say(`${name}: another client has taken over this upload; waiting for it`),
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
