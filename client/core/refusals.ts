/** What a refusal means to a client: wait and try again, begin anew, or fail. */
import type { ErrorJson } from '../../server/wire/errors.ts';

export interface Refusal {
  /** A code of docs/http-api.md; what a client names itself where the answer is not the service's. */
  code: string;
  status: number;
}

/**
 * Statuses after which a later try may succeed. 409: the offset moved on, the next HEAD tells where
 * to. 423: another request holds the upload. 500: the service has failed, and keeps what it has.
 */
const TRANSIENT_STATUSES = new Set([408, 409, 423, 425, 429, 500, 502, 503, 504, 507]);

/** Of proxies and networks in front of a service that cannot reach it (Cloudflare: 520 to 530). */
function isOfEdge(status: number): boolean {
  return status >= 520 && status <= 530;
}

/** Whether trying again later may succeed. */
export function isTransientRefusal({ status, code }: Refusal): boolean {
  // Bytes that the service has lost do not come back by asking again.
  return (TRANSIENT_STATUSES.has(status) || isOfEdge(status)) && code !== 'content_damaged';
}

/** Whether something on the way does not let a method through: POST can say it (tus 1.0.0, "X-HTTP-Method-Override"). */
export function isMethodRefusal(method: string, status: number): boolean {
  return method !== 'POST' && (status === 405 || status === 501);
}

/** Whether a resource does not exist, or no longer. */
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
  /** An answer: there was none. */
  | 'lostLine'
  /** A service that starts, stops or is busy. */
  | 'restarting'
  /** The service, or something in front of it, has failed. */
  | 'trouble'
  /** Room in the store. */
  | 'full'
  /** Another request that writes to this upload. */
  | 'busy'
  /** Another client that sends the same bytes. */
  | 'elsewhere'
  | 'needsToken'
  /** Nothing: the upload is gone, and begins anew. */
  | 'beginAgain';

/** Why an upload has failed. */
export type FailReason =
  | 'tooLarge'
  /** For something in front of the service. */
  | 'requestTooLarge'
  | 'fileChanged'
  | 'mismatch'
  | 'refused'
  | 'failed';

export type Meaning = { stall: StallReason } | { stall: null; failure: FailReason };

/** Code of a refusal that stands for an answer that did not come. */
export const NO_ANSWER = 'offline';

/**
 * What a refusal means for an upload: something to wait for, or the end.
 *
 * @param mayBeginAnew - there is an upload that can be given up for a new one; see core/beginnings.ts.
 */
export function meaningOf(refusal: Refusal, mayBeginAnew: boolean): Meaning {
  const stall = stallOf(refusal);
  if (stall) return { stall };
  if (isGone(refusal) && mayBeginAnew) return { stall: 'beginAgain' };
  const { code, status } = refusal;
  if (code === 'digest_mismatch') return { stall: null, failure: 'mismatch' };
  if (status === 413) return { stall: null, failure: code === 'too_large' ? 'tooLarge' : 'requestTooLarge' };
  return { stall: null, failure: status >= 400 && status < 500 ? 'refused' : 'failed' };
}

function stallOf(refusal: Refusal): StallReason | null {
  if (refusal.code === NO_ANSWER) return 'lostLine';
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
