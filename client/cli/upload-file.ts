/** Uploads one file: computes its digests, asks the service, sends, and verifies what was published. */
import { lookup } from 'mime-types';
import type { FileJson, OnConflictJson } from '../../server/wire/files.ts';
import { isSameResource } from '../core/addresses.ts';
import { readMetadata } from '../core/metadata.ts';
import { isWorthParts } from '../core/parts.ts';
import { beginAlone } from './begin-alone.ts';
import type { Wanted } from './begin-alone.ts';
import { ask, createWaitReporter } from './context.ts';
import type { Context } from './context.ts';
import { digestFile, forgetDigests } from './digests.ts';
import type { Digests } from './digests.ts';
import { ServiceError, codeOf, describeError } from './errors.ts';
import { giveName } from './give-name.ts';
import { createJournal } from './journal.ts';
import type { Journal } from './journal.ts';
import { SizeUntrueError, openLocalFile } from './local-file.ts';
import type { LocalFile } from './local-file.ts';
import { createPartsJournal } from './parts-journal.ts';
import type { JournalledParts, PartsJournal } from './parts-journal.ts';
import type { ProgressItem } from './progress.ts';
import { sendInParts } from './send-in-parts.ts';
import type { Streams } from './streams.ts';
import { transfer } from './transfer.ts';
import type { TransferResult } from './transfer.ts';
import type { UploadSource } from './tus-stack.ts';
import { dropParts, isSentInParts, takeParts, withoutLostFinal } from './upload-in-parts.ts';
import { onConflictOf, uploadStream } from './upload-stream.ts';
import { fileIdOf, findFile, lookAtUpload, verifyPublished } from './verify.ts';

export interface UploadedFile {
  status: 'uploaded' | 'instant';
  file: FileJson;
  sentBytes: number;
  /** The offset at which this run began to send: an earlier run or another client had sent the bytes before it. */
  resumedFrom: number;
}

export interface UploadFileOptions {
  context: Context;
  progress: ProgressItem;
  chunkSizeBytes: number | null;
  streams: Streams;
  /** The name in the catalog. */
  name: string;
  /** What becomes of another file that has it. */
  onConflict?: OnConflictJson | undefined;
  /** Runs tasks for the same content one after another. */
  exclusively: <T>(content: string, run: () => Promise<T>) => Promise<T>;
}

/**
 * Uploads the file at `path`, unless the service has its content already.
 *
 * @throws CliError, ServiceError or an error of the file system; the signal's reason once it is aborted.
 */
export async function uploadFile(path: string | Buffer, options: UploadFileOptions): Promise<UploadedFile> {
  const { context, progress, chunkSizeBytes, name, onConflict } = options;
  const file = await openLocalFile(path, context.signal);
  try {
    return await sendDigested(file, options);
  } catch (error) {
    if (!(error instanceof SizeUntrueError)) throw error;
    context.output.say(`${path.toString()}: ${error.message}; it is sent as a stream`);
    return await uploadStream(file.stream(), { context, progress, chunkSizeBytes, name, onConflict });
  } finally {
    await file.close();
  }
}

async function sendDigested(file: LocalFile, options: UploadFileOptions): Promise<UploadedFile> {
  const { context, progress } = options;

  async function digest(): Promise<Digests & { remembered: boolean }> {
    progress.phase('hashing', file.size);
    return digestFile(file, { signal: context.signal, onProgress: (bytes) => progress.at(bytes) });
  }

  // Two copies of the same bytes in one run: the second is instant once the first is done.
  function sendAlone({ md5, sha256 }: Digests): Promise<UploadedFile> {
    return options.exclusively(`${sha256} ${file.size}`, () => send(file, { md5, sha256 }, options));
  }

  const digests = await digest();
  try {
    return await sendAlone(digests);
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'digest_mismatch') throw error;
    await forgetDigests(file);
    // The upload was rejected.
    await createJournal(context.service.settings.serverUrl).forget(file.identity);
    if (!digests.remembered) throw error;
    // The remembered digests may be wrong, whatever the file's times say: it is read again, once.
    const read = await digest();
    if (read.sha256 === digests.sha256 && read.md5 === digests.md5) throw error;
    return sendAlone(read);
  }
}

async function send(file: LocalFile, digests: Digests, options: UploadFileOptions): Promise<UploadedFile> {
  const partsJournal = createPartsJournal(options.context.service.settings.serverUrl, file.identity, digests.sha256);
  try {
    return await sendClaimed(file, digests, { ...options, partsJournal });
  } finally {
    await partsJournal.unclaim();
  }
}

async function sendClaimed(
  file: LocalFile,
  digests: Digests,
  options: UploadFileOptions & { partsJournal: PartsJournal },
): Promise<UploadedFile> {
  const { context, progress, partsJournal, streams } = options;
  const { serverUrl } = context.service.settings;
  const journal = createJournal(serverUrl);
  const { name, onConflict } = options;
  const wanted: Wanted = { ...digests, size: file.size, name, ...(onConflict ? { onConflict } : {}) };

  const taken = await takeParts(context, progress, wanted, partsJournal, streams !== 1 && isWorthParts(file.size));
  let left = await withoutLostFinal(context, wanted, taken);
  const finished = await finishEarlier(context, journal, file, wanted);
  // An earlier run has sent all of it, and its file may need another name: the check would add a second one.
  const joining = left?.finalUrl ? { uploadUrl: null, isOurs: true, avoid: null } : null;
  const own = { journal, file };
  const beginning = finished ?? joining ?? (await beginAlone(context, progress, wanted, own));
  if ('file' in beginning) {
    await Promise.all([journal.forget(file.identity), dropParts(context, partsJournal)]);
    return { status: 'instant', file: beginning.file, sentBytes: 0, resumedFrom: 0 };
  }

  let { uploadUrl } = beginning;
  let sentBytes = 0;
  const inParts = await isSentInParts(context, wanted, { streams: options.streams, left, wholeUrl: uploadUrl });
  for (;;) {
    progress.phase('uploading', file.size);
    const sent = inParts
      ? await sendParts(file, wanted, { ...options, journal: partsJournal, left })
      : await transferFile(file, wanted, { ...options, ...beginning, journal, uploadUrl });
    sentBytes += sent.sentBytes;
    const isOurs = inParts || (beginning.isOurs && sent.uploadUrl === uploadUrl);
    const begun = sent.adopted && { ...sent.adopted, isOurs };
    const published = await verifyPublished(context, sent, { ...wanted, begun, isShared: sent.shared });
    const named = await giveName(context, published, wanted, begun);
    // The service would keep them for a while, in case that another final upload needs them: twice the space of the file.
    await dropParts(context, partsJournal);
    if (named) {
      await journal.forget(file.identity);
      return { status: 'uploaded', file: named, sentBytes, resumedFrom: sent.startOffset };
    }
    // The published file is another client's, and keeps their name: this file is sent again, in an upload of its own.
    [uploadUrl, left] = [null, null];
  }
}

/** Sends the file in parts; where they are of no use any more, ends them. */
async function sendParts(
  file: LocalFile,
  wanted: Wanted,
  options: UploadFileOptions & { journal: PartsJournal; left: JournalledParts | null },
): Promise<TransferResult> {
  const { name } = wanted;
  try {
    return await sendInParts(file, wanted, { ...options, name, metadata: metadataOf(wanted) });
  } catch (error) {
    if (['file_changed', 'digest_mismatch', 'parts_lost'].includes(codeOf(error))) {
      await dropParts(options.context, options.journal);
    }
    throw error;
  }
}

/** As the service knows its keys. */
function metadataOf({ name, md5, sha256, onConflict }: Wanted): Record<string, string> {
  const filetype = lookup(name) || 'application/octet-stream';
  return { filename: name, filetype, md5, sha256, ...onConflictOf({ onConflict }) };
}

/**
 * Finishes the upload of an earlier run of ours that ended after its last byte: its published file gets the name given now.
 * This has to come before the check, which would add a second file with that name.
 *
 * @returns null where there is no such upload.
 */
async function finishEarlier(
  context: Context,
  journal: Journal,
  file: LocalFile,
  wanted: Wanted,
): Promise<{ file: FileJson } | null> {
  const left = await journal.find(file.identity);
  if (left?.sender !== 'ended' || left.begunElsewhere) return null;
  const upload = await ask(context, wanted.name, () => lookAtUpload(context, left.uploadUrl, wanted.size));
  const fileId = fileIdOf(upload);
  const declared = readMetadata(String(upload?.headers['upload-metadata'] ?? ''));
  if (fileId === null || declared.get('sha256') !== wanted.sha256) return null;
  const published = await ask(context, wanted.name, () => findFile(context, fileId));
  if (published?.md5 !== wanted.md5 || published.size !== wanted.size) return null;
  const begun = { name: declared.get('filename') ?? null, isOurs: true };
  const named = await giveName(context, published, wanted, begun);
  return named && { file: named };
}

/** Sends the file, from the upload's offset on, until the service has all of it. */
function transferFile(
  file: LocalFile,
  wanted: Wanted,
  options: UploadFileOptions & { journal: Journal; uploadUrl: string | null; isOurs: boolean; avoid: string | null },
): Promise<TransferResult> {
  const { context, progress, journal, avoid } = options;
  const { service, signal, output } = context;
  const { name, md5, sha256, size, onConflict } = wanted;
  return transfer({
    service,
    source: sourceOf(file),
    metadata: metadataOf(wanted),
    uploadUrl: options.uploadUrl,
    chunkSizeBytes: options.chunkSizeBytes,
    signal,
    onUploadUrl: async ({ url, adopted, lifeMs }) => {
      const begunElsewhere = adopted && !(options.isOurs && url === options.uploadUrl);
      try {
        await journal.record(file.identity, { url, begunElsewhere, lifeMs });
      } catch (error) {
        // The upload continues without it; only a later run may have to begin again.
        output.say(`${name}: the resume journal cannot be written (${describeError(error)})`);
      }
    },
    findCreated: async () => {
      const question = { md5, sha256, size, filename: name, ...onConflictOf({ onConflict }) };
      const answer = await service.check(question, signal);
      if (answer.status === 'exists') return { uploadUrl: null, fileId: answer.file?.id ?? null };
      const { resume } = answer;
      const isCreated = resume?.length === size && (avoid === null || !isSameResource(resume.url, avoid));
      return { uploadUrl: isCreated ? resume.url : null, fileId: null };
    },
    onUploadGone: () => journal.forget(file.identity),
    onOffset: (offset) => progress.jump(offset),
    onSending: (position) => progress.at(position),
    onWait: createWaitReporter(context, name),
    onTakenOver: () => output.say(`${name}: another client has taken over this upload; waiting for it`),
  });
}

/** A file as a source of an upload. */
export function sourceOf(file: LocalFile): UploadSource {
  return {
    size: file.size,
    async slice(start, end) {
      await file.verifyUnchanged();
      const stop = Math.min(end, file.size);
      return { body: { size: stop - start, chunks: () => file.read(start, stop) }, last: stop === file.size };
    },
  };
}
