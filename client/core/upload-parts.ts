/**
 * An upload over several connections: the file is cut into parts, each a partial upload of its own, which a final upload joins
 * (tus 1.0.0, "Concatenation"). Which parts there are, and when a file is sent in parts at all.
 */
import { isUploadAddress } from './addresses.ts';
import type { Sender } from './other-sender.ts';
import { cutIntoParts, isWorthParts } from './parts.ts';
import { joinRanges, type Range } from './ranges.ts';

/** A part that has an upload, as a journal keeps it. */
export interface PartRow extends Range {
  readonly url: string;
}

/** A part of the plan; without an upload as long as `url` is null. */
export interface PlannedPart extends Range {
  readonly url: string | null;
}

/**
 * The parts of a file, in order. The parts of an earlier run stay as they are, however many connections it had; what they do not
 * cover is cut anew.
 */
export function planParts(size: number, rows: readonly PartRow[]): PlannedPart[] {
  const kept: PartRow[] = [];
  for (const row of [...rows].sort((a, b) => a.start - b.start)) {
    if (row.end > row.start && row.start >= (kept.at(-1)?.end ?? 0) && row.end <= size) kept.push(row);
  }
  const cut = cutIntoParts(size, joinRanges(kept)).map((range) => ({ ...range, url: null }));
  return [...kept, ...cut].sort((a, b) => a.start - b.start);
}

/** Reads the rows of a journal; none where they are no rows. */
export function readPartRows(value: unknown): PartRow[] {
  return Array.isArray(value) ? value.filter(isPartRow).map(({ start, end, url }) => ({ start, end, url })) : [];
}

function isPartRow(value: unknown): value is PartRow {
  const { start, end, url } = (value ?? {}) as Partial<Record<keyof PartRow, unknown>>;
  return Number.isSafeInteger(start) && Number.isSafeInteger(end) && isUploadAddress(url);
}

/** What a service says of itself in its answer to OPTIONS. */
export interface Offers {
  /** The header `Tus-Extension`. */
  extensions: string;
  /** The header `Tus-Max-Size`; null where there is none. */
  maxSize: string | null;
}

export interface PartsQuestion {
  size: number;
  /** Whether more than one connection is wanted. */
  wantsStreams: boolean;
  /** Whether an earlier run has left parts. */
  hasParts: boolean;
  /** Whether there is an unfinished upload of the whole file that has bytes. */
  hasWhole: boolean;
}

/**
 * How a file is sent: `inParts`, where the service joins them, or `whole`, in one upload. What is stored is not sent again:
 *
 * | unfinished                  | one connection is wanted | several are wanted             |
 * |-----------------------------|--------------------------|--------------------------------|
 * | parts                       | in parts, one by one     | in parts                       |
 * | an upload of the whole file | whole                    | whole: it cannot become a part |
 * | nothing                     | whole                    | in parts, unless it is small   |
 */
export function howToSend({ size, wantsStreams, hasParts, hasWhole }: PartsQuestion): 'inParts' | 'whole' {
  return hasParts || (wantsStreams && isWorthParts(size) && !hasWhole) ? 'inParts' : 'whole';
}

/** A part of which no byte has come for so long is not being sent by anyone. */
const SILENT_SECONDS = 15;

/**
 * Whether the parts that a run has recorded may be resumed now.
 *
 * @param idleSeconds - for how long no byte has come, of each part; read only where it matters.
 */
export function mayResumeParts(sender: Sender, idleSeconds: readonly number[]): boolean {
  if (sender !== 'unknown') return sender === 'ended';
  return idleSeconds.every((seconds) => seconds >= SILENT_SECONDS);
}

/** Whether the service joins parts, and takes a file of this size: it would refuse a larger one only after its last part. */
export function takesParts({ extensions, maxSize }: Offers, size: number): boolean {
  const isOffered = extensions.split(',').some((name) => name.trim() === 'concatenation');
  return isOffered && (maxSize === null || size <= Number(maxSize));
}

/** How long to wait before the next look at a final upload that is being joined. @param looks - how many there have been. */
export function joinPauseMs(looks: number): number {
  return Math.min(250 * 2 ** Math.min(looks, 10), 5_000);
}

/** How fast a service with a slow disk joins what it has. */
const JOINED_BYTES_PER_MS = 50 * 1024;
const LEAST_JOIN_MS = 5_000;

/**
 * How long a final upload may take to become a file. A client that got no answer to its creation waits so long for the file
 * before it creates another one, which would become another file.
 */
export function joinAllowanceMs(size: number): number {
  return LEAST_JOIN_MS + size / JOINED_BYTES_PER_MS;
}

/** How far a final upload is, by an answer to a HEAD: it has an offset only once it is joined. */
export function isJoined(offset: string | null | undefined): boolean {
  return offset !== null && offset !== undefined && offset !== '';
}

/** The header Upload-Concat of a final upload. The paths are shorter than whole addresses: a header has a limit on the way. */
export function finalHeader(urls: readonly string[]): string {
  return `final;${urls.map((url) => new URL(url).pathname).join(' ')}`;
}
