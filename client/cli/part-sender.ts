/** Sends one part of a file to a partial upload (tus 1.0.0, "Concatenation"): an attempt at a time. */
import { isBegunFor, mayBeginAnew } from '../core/beginnings.ts';
import { lifeLeftMs } from '../core/journal-life.ts';
import { readMetadata } from '../core/metadata.ts';
import { isGone } from '../core/refusals.ts';
import { ServiceError, TransportError } from './errors.ts';
import type { Answer } from './http.ts';
import type { LocalFile } from './local-file.ts';
import type { Patience } from './retry.ts';
import type { ServiceClient } from './service-client.ts';
import { UploadUnusableError } from './tus-stack.ts';

const TUS = { 'Tus-Resumable': '1.0.0' };

/** A part under way. */
export interface Part {
  /** Where in the file it is. */
  readonly start: number;
  readonly end: number;
  /** Its upload; null before it has one. */
  url: string | null;
  /** How many bytes the service has stored of it, as far as known. */
  stored: number;
  /** The most that it has had. */
  furthest: number;
  /** How many bytes have been sent, counted from the part's beginning. */
  sent: number;
  /** Whether `stored` is what the service has: not after an attempt that failed. */
  isKnown: boolean;
  begunAnew: number;
  /** Creates its upload, at this moment. */
  creation: Promise<void> | null;
}

/** What the parts of a file share. */
export interface PartSending {
  readonly file: LocalFile;
  /** Of the whole file. */
  readonly sha256: string;
  readonly service: ServiceClient;
  /** Most bytes in one request; null for no limit. */
  readonly chunkSizeBytes: number | null;
  /** A part has got an upload, or has lost it. Called before the first byte is sent. */
  readonly onUrl: (part: Part) => Promise<void>;
  /** See `lifeLeftMs`. */
  readonly onLife: (lifeMs: number) => void;
  /** So many bytes were sent. */
  readonly onSending: (bytes: number) => void;
  /** `sent` of a part is another one, without bytes that were sent. */
  readonly onMoved: () => void;
}

/** Sends what the service lacks of a part. Beginning anew, once, where the service no longer has its upload. */
export async function sendPart(
  sending: PartSending,
  part: Part,
  stream: { signal: AbortSignal; patience: Patience },
): Promise<void> {
  try {
    if (part.url === null) await createOnce(sending, part, stream.signal);
    else if (!part.isKnown) await lookAtPart(sending, part, stream.signal);
    if (part.stored > part.furthest) stream.patience.progress();
    part.furthest = Math.max(part.furthest, part.stored);
    while (part.stored < part.end - part.start) await patch(sending, part, stream);
  } catch (error) {
    part.isKnown = false;
    if (!(await loseIfGone(sending, part, error))) throw error;
    throw new TransportError('part_lost', 'the service no longer has a part of the file; sending it again', {
      cause: error,
    });
  }
}

/** Creates the upload of a part that will be sent soon: a failure shows when it is sent. */
export function createAhead(sending: PartSending, part: Part, signal: AbortSignal): void {
  if (part.url === null) createOnce(sending, part, signal).catch(() => {});
}

function createOnce(sending: PartSending, part: Part, signal: AbortSignal): Promise<void> {
  part.creation ??= create(sending, part, signal).finally(() => {
    part.creation = null;
  });
  return part.creation;
}

/** Asks how much of a part the service has; where it no longer has its upload, the part is as one that was never begun. */
export async function findStored(sending: PartSending, part: Part, signal: AbortSignal): Promise<void> {
  try {
    await lookAtPart(sending, part, signal);
  } catch (error) {
    if (!(await loseIfGone(sending, part, error))) throw error;
  }
}

/** Whether the part's upload is gone or unusable, and may be replaced: then the part has none any more. */
async function loseIfGone(sending: PartSending, part: Part, error: unknown): Promise<boolean> {
  const isLost = error instanceof UploadUnusableError || (error instanceof ServiceError && isGone(error));
  if (!isLost || part.url === null || !mayBeginAnew(part.begunAnew)) return false;
  Object.assign(part, { url: null, stored: 0, sent: 0, begunAnew: part.begunAnew + 1 });
  sending.onMoved();
  await sending.onUrl(part);
  return true;
}

async function create({ service, sha256, ...sending }: PartSending, part: Part, signal: AbortSignal): Promise<void> {
  const headers = {
    ...TUS,
    'Upload-Length': String(part.end - part.start),
    'Upload-Concat': 'partial',
    // Of the whole file: a run that resumes the part compares it.
    'Upload-Metadata': `sha256 ${Buffer.from(sha256).toString('base64')}`,
  };
  const answer = await service.tus({ method: 'POST', url: service.uploadsUrl, headers, signal });
  const { location } = answer.headers;
  if (location === undefined) throw new TransportError('protocol', 'the service did not say where the part is');
  part.url = service.rebase(new URL(location, service.uploadsUrl).href);
  readLife(sending, answer);
  await sending.onUrl(part);
  Object.assign(part, { stored: 0, isKnown: true });
}

/** @throws UploadUnusableError where the upload is for other bytes. */
async function lookAtPart(
  { service, sha256, ...sending }: PartSending,
  part: Part,
  signal: AbortSignal,
): Promise<void> {
  const length = part.end - part.start;
  const answer = await service.tus({ method: 'HEAD', url: part.url ?? '', headers: TUS, signal, workBytes: length });
  const { 'upload-offset': offset, 'upload-length': declared, 'upload-metadata': metadata = '' } = answer.headers;
  const stored = Number(offset);
  if (!Number.isSafeInteger(stored)) throw new TransportError('protocol', 'the service did not say how much it has');
  const isForThis = isBegunFor(readMetadata(String(metadata)).get('sha256'), sha256);
  if (!isForThis || Number(declared) !== length || stored > length) {
    throw new UploadUnusableError('the unfinished part may be of other bytes');
  }
  readLife(sending, answer);
  Object.assign(part, { stored, sent: stored, isKnown: true });
  sending.onMoved();
}

/** One request, with what is left of the part or as much as a request may have. */
async function patch(
  { service, file, ...sending }: PartSending,
  part: Part,
  { signal, patience }: { signal: AbortSignal; patience: Patience },
): Promise<void> {
  const learned = (await service.requestSize.most()) ?? Number.POSITIVE_INFINITY;
  const most = Math.min(sending.chunkSizeBytes ?? Number.POSITIVE_INFINITY, learned);
  const from = part.start + part.stored;
  const to = Math.min(part.end, from + most);
  await file.verifyUnchanged();
  const before = part.stored;
  const answer = await service.tus({
    method: 'PATCH',
    url: part.url ?? '',
    headers: { ...TUS, 'Upload-Offset': String(before), 'Content-Type': 'application/offset+octet-stream' },
    body: { size: to - from, chunks: () => file.read(from, to) },
    signal,
    workBytes: to === part.end ? part.end - part.start : 0,
    onSent: (bytes, total) => {
      part.sent = before + total;
      sending.onSending(bytes);
    },
  });
  const stored = Number(answer.headers['upload-offset']);
  if (!(stored > before)) throw new TransportError('no_progress', 'the service took none of the bytes');
  Object.assign(part, { stored, sent: stored, furthest: Math.max(part.furthest, stored) });
  sending.onMoved();
  patience.progress();
  readLife(sending, answer);
}

function readLife({ onLife }: Pick<PartSending, 'onLife'>, { headers }: Answer): void {
  const lifeMs = lifeLeftMs(headers['upload-expires']?.toString(), Date.now());
  if (lifeMs !== null) onLife(lifeMs);
}
