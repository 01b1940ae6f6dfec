/** One file on its way, as the queue keeps it and the page shows it. */
import type { FileJson } from '../../../server/wire/files.ts';
import type { Watch } from '../../core/other-sender.ts';
import type { FailReason, Refusal, StallReason } from '../../core/refusals.ts';
import type { Hashing } from './hasher.ts';
import type { Begun } from '../../core/naming.ts';
import type { State } from '../../core/upload-states.ts';
import type { Transfer } from './transfer.ts';

export interface Item {
  readonly id: string;
  /** As it is sent; once it is done, as it was taken. */
  name: string;
  /** The name, with its folders where it came in one. */
  path: string;
  size: number;
  /** The file's time of change when its digests were taken. */
  lastModified: number;
  file: File | null;
  state: State;
  stall: StallReason | null;
  failure: FailReason | null;
  /** The service's own words, in a refusal. */
  message: string;
  /** Of the latest refusal; see docs/http-api.md. */
  refusal: Refusal | null;
  /** Bytes digested. */
  hashed: number;
  md5: string | null;
  /** Known when the MD5 is. MD5 names, it does not prove. */
  sha256: string | null;
  /** Bytes the service has, with those on the line. */
  sent: number;
  url: string | null;
  /** Of the bytes that were begun there. */
  urlMd5: string | null;
  /** As above; null where an earlier edition of the page began it. */
  urlSha256: string | null;
  /** How the upload was begun, where it was not begun for this item. */
  adopted: Begun | null;
  /** Another client may have sent bytes of it since. */
  shared: boolean;
  /** Another client has taken the upload over, and may still be sending. */
  takenOver: boolean;
  /** Judges another client that is sending the same bytes, while this item waits for it. */
  watch: { url: string; judge: Watch } | null;
  /** The upload of another client that is too slow to wait for. */
  avoided: string | null;
  /** How often a lost upload was replaced by a new one since the user last asked for this item. */
  begunAnew: number;
  /** What was sent before had expired. */
  fromStart: boolean;
  /** Interrupted, and a click is all that it takes to resume. */
  needsClick: boolean;
  result: FileJson | null;
  /** Grows whenever the tasks that run for it must have no further effect. */
  turn: number;
  attempts: number;
  hashing: Hashing | null;
  transfer: Transfer | null;
  timer: number | null;
}

export function newItem(about: Pick<Item, 'id' | 'name' | 'path' | 'size' | 'lastModified' | 'file'>): Item {
  return {
    ...about,
    state: 'queued',
    stall: null,
    failure: null,
    message: '',
    refusal: null,
    hashed: 0,
    md5: null,
    sha256: null,
    sent: 0,
    url: null,
    urlMd5: null,
    urlSha256: null,
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

/** What an item is without its upload: it is sent from its first byte. */
export const WITHOUT_UPLOAD = {
  url: null,
  adopted: null,
  shared: false,
  takenOver: false,
  watch: null,
  sent: 0,
} as const;

export function isOver(item: Item): boolean {
  return item.state === 'done' || item.state === 'instant' || item.state === 'failed';
}

/** Whether it would be interrupted if the page were left now. */
export function isUnderWay(item: Item): boolean {
  return !isOver(item) && item.state !== 'interrupted';
}
