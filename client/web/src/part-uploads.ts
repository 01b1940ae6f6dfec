/** The parts of a file at the service: partial uploads (tus 1.0.0, "Concatenation"). */
import { isBegunFor, mayBeginAnew } from '../../core/beginnings.ts';
import { lifeLeftMs } from '../../core/journal-life.ts';
import type { PartRow } from '../../core/upload-parts.ts';
import { ApiError, noAnswer, uploadState } from './api.ts';
import { ownUrl, serviceUrl } from './base.ts';
import { mostRequestBytes } from './request-size.ts';
import { type About, SILENCE_MS, type TransferEvents } from './transfer.ts';
import { sendTus } from './tus-request.ts';

export interface PartsAbout extends About {
  /** The parts of an earlier visit, or of an earlier attempt. */
  parts: readonly PartRow[];
  /** See `Item`. */
  mayHaveFinal: boolean;
  streams: number;
}

export interface PartsEvents extends Pick<TransferEvents, 'onLife' | 'onUrl' | 'onProgress' | 'onDone' | 'onFailed'> {
  /** The parts that have an upload by now, whether there may be a final upload, or that the one at `url` is lost. */
  onParts(known: { parts: readonly PartRow[]; mayHaveFinal: boolean; isFinalLost?: true }): void;
}

export interface Part {
  readonly start: number;
  readonly end: number;
  url: string | null;
  stored: number;
  sent: number;
  /** Whether `stored` is what the service has. */
  isKnown: boolean;
  begunAnew: number;
}

/** What the connections of a transfer share. */
export interface Course {
  readonly file: File;
  readonly about: PartsAbout;
  readonly events: PartsEvents;
  readonly parts: Part[];
  /** The final upload; null while there is none. */
  url: string | null;
  mayHaveFinal: boolean;
}

/** The service has lost parts of the file, more than once. */
export function partsLost(): ApiError {
  return new ApiError(PARTS_LOST, 410, 'the service has lost parts of the file');
}

export const PARTS_LOST = 'parts_lost';

/** Reports which parts have an upload. */
export function tellParts({ parts, events, mayHaveFinal }: Course, more: { isFinalLost?: true } = {}): void {
  const rows = parts.flatMap(({ start, end, url }): PartRow[] => (url === null ? [] : [{ start, end, url }]));
  events.onParts({ parts: rows, mayHaveFinal, ...more });
}

/** Reports how much of the file is sent. */
export function tellProgress({ parts, events }: Course): void {
  events.onProgress(parts.reduce((sum, { sent }) => sum + sent, 0));
}

/** Asks how much the service has of a part; a part whose upload it no longer has is sent from its first byte. */
export async function findStored(course: Course, part: Part): Promise<void> {
  if (part.url === null || part.isKnown) return;
  const state = await uploadState(part.url);
  const length = part.end - part.start;
  const isForThis = state !== null && isBegunFor(state.sha256, course.about.sha256) && state.length === length;
  if (!isForThis) {
    loseUpload(course, part);
    return;
  }
  if (state.lifeMs !== null) course.events.onLife(state.lifeMs);
  Object.assign(part, { stored: state.offset, sent: state.offset, isKnown: true });
  tellProgress(course);
}

/** @throws ApiError where the service has lost the part before. */
function loseUpload(course: Course, part: Part): void {
  if (!mayBeginAnew(part.begunAnew)) throw partsLost();
  Object.assign(part, { url: null, stored: 0, sent: 0, begunAnew: part.begunAnew + 1 });
  tellParts(course);
}

/** Makes an attempt to send what the service lacks of a part. @throws ApiError */
export async function sendPart(course: Course, part: Part, signal: AbortSignal): Promise<void> {
  if (part.url === null) await createPart(course, part, signal);
  else await findStored(course, part);
  if (part.url === null) await createPart(course, part, signal);
  while (part.stored < part.end - part.start) await patchPart(course, part, signal);
}

async function createPart(course: Course, part: Part, signal: AbortSignal): Promise<void> {
  const headers = {
    'Upload-Length': String(part.end - part.start),
    'Upload-Concat': 'partial',
    // Of the whole file: it is compared before the part is resumed.
    'Upload-Metadata': encodeLabels({ sha256: course.about.sha256 }),
  };
  const url = serviceUrl('uploads');
  const answer = await sendTus({ method: 'POST', url, headers, signal, silenceMs: SILENCE_MS });
  part.url = locationOf(answer.getHeader('Location'));
  Object.assign(part, { stored: 0, sent: 0, isKnown: true });
  tellParts(course);
}

async function patchPart(course: Course, part: Part, signal: AbortSignal): Promise<void> {
  const before = part.stored;
  const from = part.start + before;
  const body = course.file.slice(from, Math.min(part.end, from + (mostRequestBytes() ?? Infinity)));
  const answer = await sendTus({
    method: 'PATCH',
    url: part.url ?? '',
    headers: { 'Upload-Offset': String(before), 'Content-Type': 'application/offset+octet-stream' },
    body,
    signal,
    silenceMs: SILENCE_MS,
    onSent: (bytes) => {
      part.sent = before + bytes;
      tellProgress(course);
    },
  });
  const stored = Number(answer.getHeader('Upload-Offset'));
  if (!(stored > before)) throw noAnswer('the service took none of the bytes');
  const lifeMs = lifeLeftMs(answer.getHeader('Upload-Expires'), Date.now());
  if (lifeMs !== null) course.events.onLife(lifeMs);
  Object.assign(part, { stored, sent: stored });
  tellProgress(course);
}

/** The address in an answer to a creation. */
export function locationOf(location: string | undefined): string {
  if (!location) throw noAnswer('the service did not say where the upload is');
  return ownUrl(location);
}

/** The header Upload-Metadata. */
export function encodeLabels(labels: Record<string, string>): string {
  const encode = (value: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(value)));
  return Object.entries(labels)
    .map(([key, value]) => `${key} ${encode(value)}`)
    .join(',');
}
