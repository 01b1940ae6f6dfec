/** What a refusal means to a client: retry later, begin a new upload, or fail. */
import type { ErrorJson } from '../../server/wire/errors.ts';
import { REQUEST_TOO_LARGE } from './request-size.ts';

export interface Refusal {
  /** A code of docs/http-api.md; a code of the client's own where the answer is not the service's. */
  code: string;
  status: number;
}

/**
 * Statuses below 500 after which a retry may succeed. 409: the offset has moved on, and the next HEAD tells where to. 423:
 * another request holds the upload.
 */
const TRANSIENT_STATUSES = new Set([408, 409, 423, 425, 429]);

/**
 * Whether the service, or something in front of it, has failed at a request that it may answer later: 500 (the service keeps
 * the bytes that it has), 520 to 530 (Cloudflare does not reach the service), and any other of its class but 501 and 505,
 * which are about the method and the version of HTTP.
 */
function isTransientFailure(status: number): boolean {
  return status >= 500 && status <= 599 && status !== 501 && status !== 505;
}

/**
 * Refusals that only look like transient ones by their status. A retry does not bring back bytes that the service has lost,
 * moves no folder out of the way, and makes no room among an owner's links; a link with too many wrong passwords waits for longer than anyone at a terminal.
 */
const FINAL_CODES = new Set(['content_damaged', 'folder_exists', 'too_many_links', 'too_many_attempts']);

/** Whether a retry may succeed later. */
export function isTransientRefusal({ status, code }: Refusal): boolean {
  return (TRANSIENT_STATUSES.has(status) || isTransientFailure(status)) && !FINAL_CODES.has(code);
}

/** Whether something on the way may block this method: POST can stand in for it (tus 1.0.0, "X-HTTP-Method-Override"). */
export function isMethodRefusal(method: string, status: number): boolean {
  return method !== 'POST' && (status === 405 || status === 501);
}

/** Whether a resource does not exist, or no longer exists. */
export function isGone({ status }: Pick<Refusal, 'status'>): boolean {
  return status === 404 || status === 410;
}

/** Whether another client writes to the upload now. */
export function isTakenOver({ code }: Pick<Refusal, 'code'>): boolean {
  return code === 'upload_taken_over';
}

/** Reads the body of a refusal; null where it is not the service's own: a proxy may have answered, or another program. */
export function readRefusal(body: string): { code: string; message: string } | null {
  try {
    const parsed = JSON.parse(body) as { error?: Partial<Record<keyof ErrorJson['error'], unknown>> } | null;
    const { code, message } = parsed?.error ?? {};
    if (typeof message !== 'string') return null;
    return { code: typeof code === 'string' ? code : 'refused', message };
  } catch {
    return null;
  }
}

/** What an upload waits for. */
export type StallReason =
  /** The connection: the last request got no answer. */
  | 'lostLine'
  /** The service, which is starting, stopping or busy. */
  | 'restarting'
  /** The service, or something in front of it, to recover from a failure. */
  | 'trouble'
  /** Room in the store. */
  | 'full'
  /** Another request that writes to this upload. */
  | 'busy'
  /** Another client that sends the same bytes. */
  | 'elsewhere'
  /** Nothing: something in front of the service refused a request for its size, and the next ones are smaller. */
  | 'smaller'
  | 'needsToken'
  /** Nothing: the upload is gone, and the client begins a new one. */
  | 'beginAgain';

/** Why an upload has failed. */
export type FailReason =
  /** The file is larger than the service accepts. */
  | 'tooLarge'
  /** The request is larger than something in front of the service accepts. */
  | 'requestTooLarge'
  | 'fileChanged'
  | 'mismatch'
  | 'refused'
  | 'failed';

export type Meaning = { stall: StallReason } | { stall: null; failure: FailReason };

/** The code that stands for a request without an answer. */
export const NO_ANSWER = 'offline';

/**
 * What a refusal means for an upload: something to wait for, or a failure.
 *
 * @param mayBeginAnew - whether there is an upload that may be replaced with a new one; see core/beginnings.ts.
 */
export function meaningOf(refusal: Refusal, mayBeginAnew: boolean): Meaning {
  const stall = stallOf(refusal);
  if (stall) return { stall };
  if (isGone(refusal) && mayBeginAnew) return { stall: 'beginAgain' };
  const { code, status } = refusal;
  if (code === 'digest_mismatch') return { stall: null, failure: 'mismatch' };
  // A limit of the link by which the file is sent, or of its owner.
  if (/^(?:link_|quota_)/.test(code)) return { stall: null, failure: 'refused' };
  // Room that somebody has to make: it can be tried again then.
  if (code === 'over_quota') return { stall: null, failure: 'refused' };
  if (status === 413) return { stall: null, failure: code === 'too_large' ? 'tooLarge' : 'requestTooLarge' };
  return { stall: null, failure: status >= 400 && status < 500 ? 'refused' : 'failed' };
}

function stallOf(refusal: Refusal): StallReason | null {
  if (refusal.code === NO_ANSWER) return 'lostLine';
  if (refusal.code === REQUEST_TOO_LARGE) return 'smaller';
  switch (refusal.status) {
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
      return isTransientRefusal(refusal) ? 'trouble' : null;
  }
}
