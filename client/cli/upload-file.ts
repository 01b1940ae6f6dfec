/** One file, from the disk to a verified address. */
import { lookup } from 'mime-types';
import { ask, createWaitReporter } from './context.ts';
import type { Context } from './context.ts';
import { digestFile } from './digests.ts';
import type { Digests } from './digests.ts';
import { describeError } from './errors.ts';
import { createJournal } from './journal.ts';
import { openLocalFile } from './local-file.ts';
import type { LocalFile } from './local-file.ts';
import type { ProgressItem } from './progress.ts';
import { sleep } from './retry.ts';
import type { CheckAnswer, RemoteFile } from './service-client.ts';
import { transfer } from './transfer.ts';
import type { UploadSource } from './tus-stack.ts';
import { verifyPublished } from './verify.ts';

export interface UploadedFile {
  status: 'uploaded' | 'instant';
  file: RemoteFile;
  sentBytes: number;
  /** Bytes that an earlier run had brought over. */
  resumedFrom: number;
}

export interface UploadFileOptions {
  context: Context;
  progress: ProgressItem;
  chunkSizeBytes: number | null;
  /** The name in the catalog; the path's own by default. */
  name?: string | undefined;
  /** Runs one at a time what concerns the same content. */
  exclusively: <T>(content: string, run: () => Promise<T>) => Promise<T>;
}

/** Uploads the file at `path`, or finds that the service has its content already. */
export async function uploadFile(path: string, options: UploadFileOptions): Promise<UploadedFile> {
  const { context, progress } = options;
  const file = await openLocalFile(path);
  try {
    progress.phase('hashing', file.size);
    const digests = await digestFile(file, { signal: context.signal, onProgress: (bytes) => progress.at(bytes) });
    // Two copies of the same bytes in one run: the second is instant once the first is there.
    return await options.exclusively(`${digests.md5} ${file.size}`, () => send(file, digests, options));
  } finally {
    await file.close();
  }
}

async function send(file: LocalFile, digests: Digests, options: UploadFileOptions): Promise<UploadedFile> {
  const { context, progress } = options;
  const { service, signal, output } = context;
  const name = options.name ?? file.name;
  const journal = createJournal(service.settings.serverUrl);
  const { size } = file;

  const journalled = await journal.find(file.identity);
  const answer = await checkUntilAlone(context, progress, { ...digests, size, filename: name }, journalled);
  if (answer.status === 'exists' && answer.file) {
    await journal.forget(file.identity);
    return { status: 'instant', file: answer.file, sentBytes: 0, resumedFrom: 0 };
  }

  progress.phase('uploading', size);
  const resumable = answer.resume?.length === size ? answer.resume.url : null;
  const uploadUrl = resumable ?? journalled;
  const sent = await transfer({
    service,
    source: sourceOf(file),
    metadata: { filename: name, filetype: lookup(name) || 'application/octet-stream', ...digests },
    uploadUrl,
    chunkSizeBytes: options.chunkSizeBytes,
    signal,
    onUploadUrl: async (url) => {
      try {
        await journal.record(file.identity, url);
      } catch (error) {
        // The upload goes on all the same; only a later run may have to begin again.
        output.say(`${name}: the resume journal cannot be written (${describeError(error)})`);
      }
    },
    onUploadGone: () => journal.forget(file.identity),
    onOffset: (offset) => progress.jump(offset),
    onSending: (position) => progress.at(position),
    onWait: createWaitReporter(context, name),
  });
  const published = await verifyPublished(context, sent, { name, md5: digests.md5, size });
  await journal.forget(file.identity);
  return { status: 'uploaded', file: published, sentBytes: sent.sentBytes, resumedFrom: sent.startOffset };
}

function sourceOf(file: LocalFile): UploadSource {
  return {
    size: file.size,
    async slice(start, end) {
      await file.verifyUnchanged();
      const stop = Math.min(end, file.size);
      return { body: { size: stop - start, chunks: () => file.read(start, stop) }, last: stop === file.size };
    },
  };
}

const WATCH_INTERVAL_MS = 1000;
/** After so long without a new byte another sender counts as gone; a service records a slow one's bytes every 10 s. */
const OTHER_SENDER_SILENT_MS = 15_000;

/**
 * Asks for the content. While somebody else is sending the very same bytes, waits and
 * watches them come in, since nothing needs to be sent twice; once they stop, their
 * upload is ours to go on with. An upload of our own from an earlier run is gone on
 * with at once.
 */
async function checkUntilAlone(
  context: Context,
  progress: ProgressItem,
  question: { md5: string; sha256: string; size: number; filename: string },
  ownUploadUrl: string | null,
): Promise<CheckAnswer> {
  const { service, signal, output } = context;
  let lastOffset = -1;
  let movedAt = performance.now();
  let said = false;
  for (;;) {
    const answer = await ask(context, question.filename, () => service.check(question, signal));
    const { resume } = answer;
    if (answer.status !== 'uploading' || !resume) return answer;
    if (ownUploadUrl !== null && service.rebase(resume.url) === service.rebase(ownUploadUrl)) return answer;
    if (resume.offset > lastOffset) {
      lastOffset = resume.offset;
      movedAt = performance.now();
    }
    if (performance.now() - movedAt > OTHER_SENDER_SILENT_MS) return answer;
    if (!said) output.say(`${question.filename}: these bytes are being sent already, by someone else; watching`);
    if (!said) progress.phase('waiting', question.size);
    said = true;
    progress.jump(lastOffset);
    await sleep(WATCH_INTERVAL_MS, signal);
  }
}
