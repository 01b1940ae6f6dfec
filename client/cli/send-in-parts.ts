/** Sends a file in parts, over several connections, and has the service join them. */
import { mayBeginAnew } from '../core/beginnings.ts';
import { limitPassed, tellsNoQuota } from '../core/quota-room.ts';
import { type PartRow, planParts } from '../core/upload-parts.ts';
import type { Wanted } from './begin-alone.ts';
import { ask, createWaitReporter } from './context.ts';
import type { Context } from './context.ts';
import { describeError, isTakeOver, ServiceError } from './errors.ts';
import { formatSize } from './format.ts';
import { awaitJoined, createFinal, type Final, PartsLostError } from './join-parts.ts';
import type { LocalFile } from './local-file.ts';
import { createAhead, findStored, type Part, type PartSending, sendPart } from './part-sender.ts';
import type { JournalledParts, PartsJournal } from './parts-journal.ts';
import type { ProgressItem } from './progress.ts';
import { carry, type Streams } from './streams.ts';
import type { TransferResult } from './transfer.ts';

/** Questions about parts are short: a few connections are enough for them. */
const ASKING_STREAMS = 4;

export interface PartsOptions {
  context: Context;
  /** By which messages call the file. */
  name: string;
  progress: ProgressItem;
  streams: Streams;
  chunkSizeBytes: number | null;
  metadata: Record<string, string>;
  journal: PartsJournal;
  /** What an earlier run has left. */
  left: JournalledParts | null;
}

/** A file under way. */
interface Course {
  readonly file: LocalFile;
  readonly wanted: Wanted;
  readonly options: PartsOptions;
  readonly parts: Part[];
  readonly sending: PartSending;
  finalUrl: string | null;
  /** See `lifeLeftMs`. */
  lifeMs: number | null;
  /** How many bytes the service had when this run began to send. */
  startOffset: number | null;
  sentBytes: number;
  shared: boolean;
}

/**
 * Sends what the service lacks of the file's parts, and waits until it has joined them. The parts of an earlier run are resumed,
 * with any number of connections.
 *
 * @throws as `transfer`; PartsLostError.
 */
export async function sendInParts(file: LocalFile, wanted: Wanted, options: PartsOptions): Promise<TransferResult> {
  const { left } = options;
  const course = begin(file, wanted, options);
  if (left) await record(course);
  if (course.finalUrl === null && course.parts.every(({ url }) => url === null)) await requireRoom(options, file.size);
  try {
    if (left?.finalUrl) return await join(course, { url: left.finalUrl, fileId: null }, 'earlier');
  } catch (error) {
    if (!(error instanceof PartsLostError)) throw error;
  }
  for (let begunAnew = 0; ; begunAnew += 1) {
    try {
      return await sendAndJoin(course);
    } catch (error) {
      if (!(error instanceof PartsLostError) || !mayBeginAnew(begunAnew)) throw error;
      for (const part of course.parts) part.isKnown = false;
    }
  }
}

/** @throws ServiceError where the quota has no room for the file, before the first part takes some of it. */
async function requireRoom({ context, name }: PartsOptions, size: number): Promise<void> {
  const { service, signal } = context;
  const quota = await ask(context, name, () => service.quota(signal)).catch((error: unknown) => {
    if (error instanceof ServiceError && tellsNoQuota(error)) return null;
    throw error;
  });
  const passed = quota && limitPassed(quota, size);
  if (!quota || !passed) return;
  const { used, limit } = quota[passed];
  const format = passed === 'bytes' ? formatSize : String;
  const message =
    `The quota of ${format(limit ?? 0)}${passed === 'bytes' ? '' : ' files'} has no room for this: ${format(used)} are taken. ` +
    'There is room again once files are deleted for good or unfinished uploads have ended.';
  throw new ServiceError({ code: 'over_quota', message, status: 413, method: 'POST' });
}

function begin(file: LocalFile, wanted: Wanted, options: PartsOptions): Course {
  const { context, progress, left, chunkSizeBytes } = options;
  const parts = planParts(file.size, left?.parts ?? []).map((part): Part => ({
    ...part,
    stored: 0,
    sent: 0,
    furthest: 0,
    isKnown: false,
    begunAnew: 0,
    creation: null,
  }));
  const sentOfAll = (): number => parts.reduce((sum, { sent }) => sum + sent, 0);
  const course: Course = {
    options,
    file,
    wanted,
    parts,
    finalUrl: left?.finalUrl ?? null,
    lifeMs: left?.lifeMs ?? null,
    startOffset: null,
    sentBytes: 0,
    shared: false,
    sending: {
      file,
      sha256: wanted.sha256,
      service: context.service,
      chunkSizeBytes,
      onUrl: () => record(course),
      onLife: (lifeMs) => {
        course.lifeMs = lifeMs;
      },
      onSending: (bytes) => {
        course.sentBytes += bytes;
        progress.at(sentOfAll());
      },
      onMoved: () => progress.jump(sentOfAll()),
    },
  };
  return course;
}

async function sendAndJoin(course: Course): Promise<TransferResult> {
  const { options, parts, wanted, file } = course;
  const { context, progress, metadata } = options;
  progress.phase('uploading', file.size);
  await findAllStored(course);
  course.startOffset ??= parts.reduce((sum, { stored }) => sum + stored, 0);
  await sendAll(course);
  const urls = parts.map(({ url }) => url ?? '');
  const final = await createFinal(context, urls, metadata, { ...wanted, begun: null, isShared: course.shared });
  return join(course, final, 'created');
}

/** Asks how much the service has of the parts that have an upload. */
async function findAllStored({ parts, sending, options }: Course): Promise<void> {
  const { context } = options;
  await carry({
    streams: ASKING_STREAMS,
    parts: parts.filter(({ url, isKnown }) => url !== null && !isKnown),
    signal: context.signal,
    retryForMs: context.service.settings.retryForMs,
    attempt: (part, { signal }) => findStored(sending, part, signal),
    movedBytes: () => 0,
    onWait: createWaitReporter(context, options.name),
  });
}

async function sendAll(course: Course): Promise<void> {
  const { parts, sending, options } = course;
  const { context, streams, name } = options;
  await carry({
    streams,
    parts: parts.filter(({ start, end, stored }) => stored < end - start),
    signal: context.signal,
    retryForMs: context.service.settings.retryForMs,
    attempt: async (part, stream) => {
      const next = parts.find((other) => other.url === null && other.creation === null && other !== part);
      // Its creation takes a round trip, while this part is sent.
      if (next) createAhead(sending, next, stream.signal);
      try {
        await sendPart(sending, part, stream);
      } catch (error) {
        // From now on an equal MD5 is no proof: see core/proof.ts.
        if (isTakeOver(error)) course.shared = true;
        throw error;
      }
    },
    movedBytes: () => course.sentBytes,
    onWait: createWaitReporter(context, name),
  });
}

/** Waits until the service has joined the parts. @throws PartsLostError */
async function join(course: Course, final: Final, begun: 'created' | 'earlier'): Promise<TransferResult> {
  const { options, wanted, file, sentBytes, shared } = course;
  let { fileId } = final;
  let adopted: TransferResult['adopted'] = null;
  if (final.url !== null && fileId === null) {
    course.finalUrl = final.url;
    await record(course);
    options.progress.phase('joining', null);
    options.progress.jump(file.size);
    try {
      const joined = await awaitJoined(options.context, final.url, wanted);
      fileId = joined.fileId;
      // An earlier run may have given it another name.
      if (begun === 'earlier') adopted = { name: joined.declaredName };
    } catch (error) {
      if (error instanceof PartsLostError) course.finalUrl = null;
      throw error;
    }
  }
  const startOffset = course.startOffset ?? file.size;
  return { uploadUrl: final.url, fileId, fileUrl: null, sentBytes, startOffset, adopted, shared };
}

async function record({ options, parts, finalUrl, lifeMs }: Course): Promise<void> {
  const rows = parts.flatMap(({ start, end, url }): PartRow[] => (url === null ? [] : [{ start, end, url }]));
  try {
    await options.journal.record({ parts: rows, finalUrl, lifeMs });
  } catch (error) {
    // The upload continues without it; only a later run may have to begin again.
    options.context.output.say(`${options.name}: the resume journal cannot be written (${describeError(error)})`);
  }
}

/** Ends the uploads of parts that are of no use any more. What cannot be ended expires. */
export async function endParts({ service, signal }: Context, rows: readonly PartRow[]): Promise<void> {
  if (signal.aborted) return;
  await carry({
    streams: ASKING_STREAMS,
    parts: rows,
    signal,
    retryForMs: 0,
    attempt: async ({ url }) => {
      const headers = { 'Tus-Resumable': '1.0.0' };
      await service.tus({ method: 'DELETE', url, headers, signal }).catch(() => {});
    },
    movedBytes: () => 0,
    onWait: () => {},
  }).catch(() => {});
}
