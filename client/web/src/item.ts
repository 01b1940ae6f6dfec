/** One file on its way, as the queue keeps it and the page shows it. */
import type { FileJson } from '../../../server/wire/files.ts';
import { isTransientRefusal } from '../../core/refusals.ts';
import type { ApiError } from './api.ts';
import type { Hashing } from './hasher.ts';
import type { Begun } from '../../core/naming.ts';
import type { State } from '../../core/upload-states.ts';
import type { Transfer } from './transfer.ts';

export type StallReason =
  | 'lostLine'
  | 'restarting'
  /** It, or something in front of it, has failed. */
  | 'trouble'
  | 'full'
  | 'busy'
  | 'elsewhere'
  | 'needsToken'
  | 'beginAgain';
export type FailReason =
  | 'tooLarge'
  /** For something in front of the service. */
  | 'requestTooLarge'
  | 'fileChanged'
  | 'mismatch'
  | 'refused'
  | 'failed';

/** How an upload was begun that was not begun for the item that goes on with it. */
export type Adopted = Begun;

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
  refusal: { code: string; status: number } | null;
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
  adopted: Adopted | null;
  /** What was sent before had expired. */
  fromStart: boolean;
  /** Interrupted, and a click is all that is needed to go on. */
  needsClick: boolean;
  result: FileJson | null;
  /** Grows whenever what runs for it is to have no further effect. */
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

export function isOver(item: Item): boolean {
  return item.state === 'done' || item.state === 'instant' || item.state === 'failed';
}

/** Whether it would be interrupted if the page were left now. */
export function isUnderWay(item: Item): boolean {
  return !isOver(item) && item.state !== 'interrupted';
}

/** What a refusal means for an upload: something to wait for, or the end. */
export type Meaning = { stall: StallReason } | { stall: null; failure: FailReason };

/** @param isBegun - whether the service was asked about an upload that it had begun. */
export function meaningOf(error: ApiError, isBegun: boolean): Meaning {
  const stall = stallOf(error);
  if (stall) return { stall };
  const { status } = error;
  if ((status === 404 || status === 410) && isBegun) return { stall: 'beginAgain' };
  if (error.code === 'digest_mismatch') return { stall: null, failure: 'mismatch' };
  if (status === 413) return { stall: null, failure: error.code === 'too_large' ? 'tooLarge' : 'requestTooLarge' };
  return { stall: null, failure: status >= 400 && status < 500 ? 'refused' : 'failed' };
}

function stallOf(error: ApiError): StallReason | null {
  if (error.code === 'offline') return 'lostLine';
  switch (error.status) {
    case 401:
      return 'needsToken';
    case 409:
    case 423:
      return 'busy';
    case 507:
      return 'full';
    case 429:
    case 502:
    case 503:
    case 504:
      return 'restarting';
    default:
      return isTransientRefusal(error) ? 'trouble' : null;
  }
}
