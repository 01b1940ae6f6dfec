/** One file, from the disk to a verified address. */
import { lookup } from 'mime-types';
import { ask, createWaitReporter } from './context.ts';
import type { Context } from './context.ts';
import { digestFile } from './digests.ts';
import type { Digests } from './digests.ts';
import { describeError } from './errors.ts';
import { createJournal } from './journal.ts';
import type { Journalled } from './journal.ts';
import { openLocalFile } from './local-file.ts';
import type { LocalFile } from './local-file.ts';
import { LOOK_INTERVAL_MS, watchOtherSender } from './other-sender.ts';
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

  const question = { ...digests, size, filename: name };
  const { answer, journalled, avoid } = await checkUntilAlone(context, progress, question, () =>
    journal.find(file.identity),
  );
  if (answer.status === 'exists' && answer.file) {
    await journal.forget(file.identity);
    return { status: 'instant', file: answer.file, sentBytes: 0, resumedFrom: 0 };
  }

  progress.phase('uploading', size);
  const resumable = answer.resume?.length === size ? answer.resume.url : null;
  const isWelcome = (url: string | null): url is string =>
    url !== null && (avoid === null || service.rebase(url) !== service.rebase(avoid));
  const uploadUrl = [resumable, journalled?.uploadUrl ?? null].find(isWelcome) ?? null;
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
    findCreated: async () => {
      const { file: published, resume } = await service.check(question, signal);
      const created = resume?.length === size && isWelcome(resume.url) ? resume.url : null;
      return { uploadUrl: published ? null : created, fileId: published?.id ?? null };
    },
    onUploadGone: () => journal.forget(file.identity),
    onOffset: (offset) => progress.jump(offset),
    onSending: (position) => progress.at(position),
    onWait: createWaitReporter(context, name),
    onTakenOver: () => output.say(`${name}: someone else goes on with this upload; watching`),
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

/** How to begin, once nobody else brings the content in. */
interface Beginning {
  answer: CheckAnswer;
  /** What a run of our own left. */
  journalled: Journalled | null;
  /** An upload that is in better hands elsewhere, slow as it is. */
  avoid: string | null;
}

/**
 * Asks for the content. While somebody else is sending the very same bytes, waits and
 * watches them come in, since nothing needs to be sent twice; once they stop, their
 * upload is ours to go on with. What a run of our own left, that is not there any more,
 * is gone on with at once.
 */
async function checkUntilAlone(
  context: Context,
  progress: ProgressItem,
  question: { md5: string; sha256: string; size: number; filename: string },
  findJournalled: () => Promise<Journalled | null>,
): Promise<Beginning> {
  const { service, signal, output } = context;
  const watch = watchOtherSender(question.size);
  let said = false;
  let journalled: Journalled | null = null;
  for (;;) {
    // A run that watches is the first to know of the other's end; a run that is done leaves no entry.
    journalled = (await findJournalled()) ?? journalled;
    const answer = await ask(context, question.filename, () => service.check(question, signal));
    const { resume } = answer;
    const alone: Beginning = { answer, journalled, avoid: null };
    if (answer.status === 'exists' || !resume) return alone;
    const isOurs = journalled !== null && service.rebase(resume.url) === service.rebase(journalled.uploadUrl);
    const byOtherRun = isOurs && journalled?.sender === 'running';
    if (isOurs && journalled?.sender === 'ended') return alone;
    // Another run of ours may be slow to bring its first byte; that it is there is known all the same.
    if (answer.status !== 'uploading' && !byOtherRun) return alone;
    const verdict = watch(resume.offset, resume.idle);
    if (verdict === 'silent') return alone;
    if (verdict === 'slow' && !byOtherRun) {
      output.say(`${question.filename}: they come in slowly; sending them as well`);
      return { ...alone, avoid: resume.url };
    }
    if (!said) {
      const who = byOtherRun ? 'another run of this command' : 'someone else';
      output.say(`${question.filename}: these bytes are being sent already, by ${who}; watching`);
      progress.phase('waiting', question.size);
    }
    said = true;
    progress.jump(resume.offset);
    await sleep(LOOK_INTERVAL_MS, signal);
  }
}
