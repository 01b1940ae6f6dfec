/** `tidemark upload --to <link>`: sends files by an upload link. `tidemark request` makes one. */
import { lookup } from 'mime-types';
import type { SentJson } from '../../../server/wire/links.ts';
import type { LinkAddress } from '../../core/addresses.ts';
import { isGone } from '../../core/refusals.ts';
import { collectPaths, type FoundPath } from '../collect-paths.ts';
import { ask, createWaitReporter, type Context } from '../context.ts';
import { digestFile, type Digests } from '../digests.ts';
import {
  CliError,
  codeOf,
  describeError,
  EXIT,
  InterruptedError,
  ServiceError,
  TransportError,
  UsageError,
} from '../errors.ts';
import { isHopeless } from '../first-contact.ts';
import { formatSize } from '../format.ts';
import { createJournal } from '../journal.ts';
import { openLinkPassword } from '../link-password.ts';
import { type LocalFile, openLocalFile } from '../local-file.ts';
import { createProgress, type Progress, type ProgressItem } from '../progress.ts';
import { openSendingSession, type SendingSession } from '../sending-session.ts';
import { transfer, type TransferResult } from '../transfer.ts';
import { sourceOf } from '../upload-file.ts';

export interface SendOptions {
  recursive: boolean;
  parallel: number;
  chunkSizeBytes: number | null;
  /** The name that it is sent by, for a single file. */
  name: string | undefined;
  passwordFile: string | null;
  /** Who sends, and what they say about it. */
  sender: string | null;
  note: string | null;
}

/** How often to ask whether the service has published a file: a restart may delay that. */
const NOT_COMPLETE_ATTEMPTS = 8;

/** What the files of a run share. */
interface Batch {
  readonly found: readonly FoundPath[];
  readonly options: SendOptions;
  readonly session: SendingSession;
  readonly progress: Progress;
  failed: number;
  next: number;
  hopeless: unknown;
}

/** Sends all of `paths`. @returns the exit code. */
export async function runSend(
  link: LinkAddress,
  paths: readonly string[],
  options: SendOptions,
  context: Context,
): Promise<number> {
  const { output, signal } = context;
  if (paths.includes('-')) throw new UsageError('By a link files are sent, not standard input.');
  const skip = (path: string, why: string): void => output.say(`${path}: skipped, ${why}`);
  const found = await collectPaths(paths, { recursive: options.recursive, signal, skip });
  if (options.name !== undefined && found.length > 1) throw new UsageError('--name goes with a single file.');
  const session = openSendingSession(link, await openLinkPassword(options.passwordFile, context), context);
  await session.look();
  await createJournal(session.context.service.settings.serverUrl).prune();
  const progress = createProgress(output, {
    files: found.length,
    bytes: found.reduce((sum, { size }) => sum + size, 0),
  });
  const batch: Batch = { found, options, session, progress, failed: 0, next: 0, hopeless: undefined };
  await Promise.all(Array.from({ length: Math.min(options.parallel, found.length) }, () => work(batch)));
  progress.stop();
  if (signal.aborted) {
    output.complain('Interrupted. What has arrived is kept. To continue, send the files by the same link again.');
    return EXIT.interrupted;
  }
  return batch.failed === 0 ? EXIT.done : EXIT.failed;
}

async function work(batch: Batch): Promise<void> {
  const { session } = batch;
  for (;;) {
    const item = batch.found[batch.next];
    batch.next += 1;
    if (item === undefined || session.context.signal.aborted || batch.hopeless !== undefined) return;
    await sendOne(item, batch);
  }
}

async function sendOne(item: FoundPath, batch: Batch): Promise<void> {
  const { session, options } = batch;
  const { output, signal } = session.context;
  const progress = batch.progress.item(item.path);
  const name = options.name ?? item.name;
  try {
    if (item.error !== undefined) throw item.error;
    const sent = await session.unlocking(() => sendPath(item.bytes ?? item.path, name, { ...batch, progress }));
    progress.end();
    const resumed = sent.resumedFrom > 0 ? `, resumed at ${formatSize(sent.resumedFrom)}` : '';
    if (sent.status === 'present') output.say(`${item.path}: was sent by this link before, MD5 verified`);
    else output.say(`${item.path}: sent ${formatSize(sent.size)}${resumed}, MD5 verified`);
    if (output.modes.json) output.record({ path: item.path, name, ...sent });
    else output.result(`${sent.md5}  ${name}`);
  } catch (error) {
    progress.end();
    const cause: unknown = signal.aborted ? signal.reason : error;
    batch.failed += 1;
    if (isHopeless(cause)) batch.hopeless ??= cause;
    const isInterrupted = cause instanceof InterruptedError;
    if (!isInterrupted) output.complain(`${item.path}: ${describeError(cause)}`);
    if (output.modes.json) {
      const status = isInterrupted ? 'interrupted' : 'failed';
      output.record({ path: item.path, status, error: { code: codeOf(cause), message: describeError(cause) } });
    }
  }
}

interface Sent {
  /** `present`: an earlier run has sent it, and it is still there. */
  status: 'sent' | 'present';
  md5: string;
  size: number;
  sentBytes: number;
  resumedFrom: number;
}

type OfFile = Pick<Batch, 'session' | 'options'> & { progress: ProgressItem };

async function sendPath(path: string | Buffer, name: string, of: OfFile): Promise<Sent> {
  const { signal } = of.session.context;
  const file = await openLocalFile(path, signal);
  try {
    of.progress.phase('hashing', file.size);
    const digests = await digestFile(file, { signal, onProgress: (bytes) => of.progress.at(bytes) });
    if (await isSent(file, digests, name, of))
      return { status: 'present', md5: digests.md5, size: file.size, sentBytes: 0, resumedFrom: 0 };
    of.progress.phase('uploading', file.size);
    const { uploadUrl, sentBytes, startOffset } = await sendFile(file, digests, name, of);
    if (uploadUrl === null) throw new CliError('protocol', 'the service did not say where the upload is');
    await verify(of.session, uploadUrl, file, digests);
    await recordSent(file, uploadUrl, name, of);
    return { status: 'sent', md5: digests.md5, size: file.size, sentBytes, resumedFrom: startOffset };
  } finally {
    await file.close();
  }
}

/** Whether an earlier run has sent the file by this name, and the service still has it. Sent again, it would count again. */
async function isSent(file: LocalFile, { md5 }: Digests, name: string, { session }: OfFile): Promise<boolean> {
  const { context } = session;
  const journal = createJournal(context.service.settings.serverUrl);
  const before = await journal.find(file.identity);
  if (before === null || before.sentAs === null) return false;
  const { uploadUrl, sentAs } = before;
  const found = sentAs === name ? await ask(context, file.identity.path, () => lookAt(session, uploadUrl)) : null;
  if (found?.state === 'complete' && found.md5 === md5 && found.size === file.size) return true;
  // It is no upload that could be resumed.
  await journal.forget(file.identity);
  return false;
}

/** An upload of this link; null where its file is deleted. */
async function lookAt(session: SendingSession, uploadUrl: string): Promise<SentJson | null> {
  const { service, signal } = session.context;
  try {
    return await service.sent(session.pathOf(uploadUrl), signal);
  } catch (error) {
    if (error instanceof ServiceError && isGone(error)) return null;
    throw error;
  }
}

async function recordSent(file: LocalFile, url: string, name: string, { session }: OfFile): Promise<void> {
  const { service, output } = session.context;
  const journal = createJournal(service.settings.serverUrl);
  await journal.recordSent(file.identity, { url, name }).catch(async (error: unknown) => {
    output.say(`${name}: the journal cannot be written, and a later run would send it again (${describeError(error)})`);
    await journal.forget(file.identity);
  });
}

async function sendFile(
  file: LocalFile,
  { md5, sha256 }: Digests,
  name: string,
  { session, options, progress }: OfFile,
): Promise<TransferResult> {
  const { service, signal, output } = session.context;
  // By the link's address: each link has its own uploads.
  const journal = createJournal(service.settings.serverUrl);
  const left = await journal.find(file.identity);
  if (left?.sender === 'running') throw new CliError('sent_already', 'another run of tidemark is sending this file');
  return transfer({
    service,
    source: sourceOf(file),
    metadata: {
      filename: name,
      filetype: lookup(name) || 'application/octet-stream',
      md5,
      sha256,
      ...(options.sender === null ? {} : { sender: options.sender }),
      ...(options.note === null ? {} : { note: options.note }),
    },
    uploadUrl: left?.uploadUrl ?? null,
    chunkSizeBytes: options.chunkSizeBytes,
    signal,
    onUploadUrl: async ({ url, lifeMs }) => {
      await journal.record(file.identity, { url, begunElsewhere: false, lifeMs }).catch((error: unknown) => {
        output.say(`${name}: the resume journal cannot be written (${describeError(error)})`);
      });
    },
    // A sender cannot ask for uploads: one whose address got lost expires.
    findCreated: async () => ({ uploadUrl: null, fileId: null }),
    onUploadGone: () => journal.forget(file.identity),
    onOffset: (offset) => progress.jump(offset),
    onSending: (position) => progress.at(position),
    onWait: createWaitReporter(session.context, name),
    onTakenOver: () => output.say(`${name}: another client has taken over this upload; waiting for it`),
  });
}

/** Compares what the service has with what was sent. @throws CliError `not_published`, `digest_differs`. */
async function verify(session: SendingSession, uploadUrl: string, file: LocalFile, { md5 }: Digests): Promise<void> {
  const { context } = session;
  const sent = await ask(context, file.identity.path, async (attempt) => {
    const found = await context.service.sent(session.pathOf(uploadUrl), context.signal);
    if (found.state === 'complete') return found;
    if (attempt >= NOT_COMPLETE_ATTEMPTS)
      throw new CliError('not_published', 'all bytes were sent, but the service has not published the file');
    throw new TransportError('not_published_yet', 'the file is not published yet');
  });
  if (sent.md5 === md5 && sent.size === file.size) return;
  throw new CliError(
    'digest_differs',
    `the service has other bytes than were sent: MD5 ${sent.md5}, ${sent.size} bytes, instead of MD5 ${md5}, ${file.size} bytes`,
  );
}
