/** One upload, as the queue keeps it and the page shows it. */
import type { FileJson, OnConflictJson } from '../../../server/wire/files.ts';
import type { Watch } from '../../core/other-sender.ts';
import type { FailReason, Refusal, StallReason } from '../../core/refusals.ts';
import type { Hashing } from './hasher.ts';
import type { Begun } from '../../core/naming.ts';
import type { PartRow } from '../../core/upload-parts.ts';
import type { State } from '../../core/upload-states.ts';
import type { Question } from './question.ts';
import type { Transfer } from './transfer.ts';

export interface Item {
  readonly id: string;
  /**
   * The name that the page sends, with its folders; once the upload is done, the name that the service has given the file. Where an
   * earlier version of the page began it, the name alone.
   */
  name: string;
  /** As the page shows it. */
  path: string;
  /** What becomes of another file that has the name; null: both are kept. */
  onConflict: OnConflictJson | null;
  /** What the user has to be asked about that, once the digests are known; null: nothing. */
  question: Question | null;
  size: number;
  /** When the file was last modified, in milliseconds since the epoch, as of when it was chosen. */
  lastModified: number;
  /** Null while it has to be chosen again, and once the upload is done. */
  file: File | null;
  state: State;
  stall: StallReason | null;
  failure: FailReason | null;
  /** The service's own words in the refusal that failed the upload. */
  message: string;
  /** Code and status of the latest refusal; see docs/http-api.md. */
  refusal: Refusal | null;
  /** Bytes hashed so far. */
  hashed: number;
  md5: string | null;
  /** Known when the MD5 is. Only an equal SHA-256 proves equal bytes. */
  sha256: string | null;
  /** The page has tried to prove that it has these bytes, and the service has not found them among those of others. */
  isProofRefused: boolean;
  /** Bytes that the service has or that are being sent. */
  sent: number;
  /** The address of the upload; null while there is none. */
  url: string | null;
  /** The parts that have an upload, where the file is sent in parts; then `url` is the final upload, which joins them. */
  parts: readonly PartRow[];
  /** There may be a final upload whose address is not known: the answer to its creation got lost. */
  mayHaveFinal: boolean;
  /** MD5 of the bytes for which the upload at `url`, or its parts, were begun. */
  urlMd5: string | null;
  /** SHA-256 of those bytes; null where an earlier version of the page began the upload. */
  urlSha256: string | null;
  /** How long the service keeps the upload without another byte; null where that is not known. */
  lifeMs: number | null;
  /** How the upload was begun; null where it was begun for this item. */
  adopted: Begun | null;
  /** Another client may have sent bytes of it since. */
  shared: boolean;
  /** Another client has taken the upload over, and may still be sending. */
  takenOver: boolean;
  /** Judges another client that is sending the same bytes, while this item waits for it. */
  watch: { url: string; judge: Watch } | null;
  /** The address of another client's upload that is too slow to wait for. */
  avoided: string | null;
  /** How often a lost upload was replaced by a new one since the user last asked for this item. */
  begunAnew: number;
  /** The upload had expired, so the file is sent from its first byte. */
  fromStart: boolean;
  /** Interrupted, and the browser has kept the file: it needs a click of the user for permission to read it. */
  needsClick: boolean;
  /** The published file. */
  result: FileJson | null;
  /** Incremented to cancel the tasks that run for the item: they stop once they see another number. */
  turn: number;
  /** Failed attempts since the last progress. */
  attempts: number;
  hashing: Hashing | null;
  transfer: Transfer | null;
  timer: number | null;
}

export function newItem(about: Pick<Item, 'id' | 'name' | 'path' | 'size' | 'lastModified' | 'file'>): Item {
  return {
    ...about,
    onConflict: null,
    question: null,
    state: 'queued',
    stall: null,
    failure: null,
    message: '',
    refusal: null,
    hashed: 0,
    md5: null,
    sha256: null,
    isProofRefused: false,
    sent: 0,
    url: null,
    parts: [],
    mayHaveFinal: false,
    urlMd5: null,
    urlSha256: null,
    lifeMs: null,
    adopted: null,
    shared: false,
    takenOver: false,
    watch: null,
    avoided: null,
    begunAnew: 0,
    fromStart: false,
    needsClick: false,
    result: null,
    turn: 0,
    attempts: 0,
    hashing: null,
    transfer: null,
    timer: null,
  };
}

/** The fields that make an item forget its upload: it is then sent from its first byte. */
export const WITHOUT_UPLOAD = {
  url: null,
  parts: [],
  mayHaveFinal: false,
  lifeMs: null,
  adopted: null,
  shared: false,
  takenOver: false,
  watch: null,
  sent: 0,
} as const;

/** The addresses of all uploads that an item has at the service. */
export function uploadsOf({ url, parts }: Pick<Item, 'url' | 'parts'>): string[] {
  return [...(url === null ? [] : [url]), ...parts.map((part) => part.url)];
}

export function isOver(item: Item): boolean {
  return item.state === 'done' || item.state === 'instant' || item.state === 'failed';
}

/** Whether leaving the page now would interrupt it. */
export function isUnderWay(item: Item): boolean {
  return !isOver(item) && item.state !== 'interrupted';
}
