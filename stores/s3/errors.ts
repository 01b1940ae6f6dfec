/** What the SDK throws -> StoreError, in the one place that sees it. */
import { StoreError, type StoreErrorCode } from '../store.ts';

const CODES: Record<string, StoreErrorCode> = {
  NoSuchKey: 'missing',
  NoSuchUpload: 'missing',
  NotFound: 'missing',
  NoSuchBucket: 'unavailable',
  QuotaExceeded: 'full',
  InsufficientStorage: 'full',
  // A cap of the provider's own, or of the bucket.
  EntityTooLarge: 'failed',
};

/** Answered with 4xx, and passes all the same. */
const PASSING = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'SlowDown',
  'TooManyRequests',
  'TotalQpsLimitExceeded',
  'ThrottlingException',
  'OperationAborted',
  // Damaged on the way: Content-MD5 did not match.
  'BadDigest',
  'InvalidDigest',
]);

/** What the codes of a refusal mean for whoever set the service up. */
const SENTENCES: Record<string, string> = {
  InvalidAccessKeyId: 'the access key is not known there: check S3_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'the secret key does not fit the access key: check S3_SECRET_ACCESS_KEY',
  NoSuchBucket: 'the bucket is not there: check S3_BUCKET, or create it',
  AccessDenied: 'the key has no right to this bucket: check its policy',
  RequestTimeTooSkewed: "this machine's clock is off: set it (NTP)",
  PermanentRedirect: 'the bucket is in another region: check S3_REGION and S3_ENDPOINT',
  AuthorizationHeaderMalformed: 'the bucket is in another region: check S3_REGION',
  SecondLevelDomainForbidden: 'the endpoint takes the bucket in the host name only: set S3_PATH_STYLE=false',
  PublicEndpointForbidden: 'the provider refuses its public endpoint: point S3_ENDPOINT at a domain of your own',
  ENOTFOUND: 'its name cannot be resolved: check S3_ENDPOINT',
  EAI_AGAIN: 'its name cannot be resolved now: check S3_ENDPOINT and the DNS',
  ECONNREFUSED: 'nothing listens there: check S3_ENDPOINT',
};

interface SdkError extends Error {
  Code?: string;
  code?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

/** The provider's code of a refusal, or the system's of a broken line: `NoSuchKey`, `ECONNRESET`. */
export function codeOf(error: unknown): string {
  const { Code, code, name } = error as SdkError;
  return [Code, code, name].find((text) => typeof text === 'string' && text !== '' && text !== 'Error') ?? 'unknown';
}

export function statusOf(error: unknown): number | undefined {
  return (error as SdkError).$metadata?.httpStatusCode;
}

/** How long the provider asks to wait, in ms. */
export function retryAfterOf(error: unknown): number | undefined {
  const seconds = Number((error as SdkError).$response?.headers?.['retry-after']);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

/** Whether the same call may succeed a little later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof StoreError) return false;
  const status = statusOf(error);
  const code = codeOf(error);
  if (PASSING.has(code) || status === 429 || status === 408) return true;
  if (code === 'NotImplemented' || status === 501) return false;
  // No status: the line broke. A 2xx: the answer did, or it held an error.
  return status === undefined || status >= 500 || status < 300;
}

/**
 * Translates what a call threw; a StoreError passes as it is.
 *
 * @param doing - what was tried, for the message: "storing part 3 of upload 12ab".
 */
export function toStoreError(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  hideResponse(error);
  const status = statusOf(error);
  const code = codeOf(error);
  const refused = status === 401 || status === 403 || status === 301 || status === 307;
  const kind =
    CODES[code] ?? (status === 404 ? 'missing' : refused || isPassing(error) ? 'unavailable' : ('failed' as const));
  return new StoreError(kind, `${doing}: ${describe(error)}`, error);
}

/** The SDK hangs the whole exchange on its errors, sockets and signature included: none of a log's business. */
function hideResponse(error: unknown): void {
  if (typeof error === 'object' && error !== null && '$response' in error) {
    Object.defineProperty(error, '$response', { enumerable: false });
  }
}

/** Why the bucket cannot be used, for whoever starts the service. */
export function describe(error: unknown): string {
  hideResponse(error);
  const code = codeOf(error);
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const sentence = SENTENCES[code];
  if (sentence !== undefined) return `${sentence} (${code})`;
  return status === undefined ? `${code}: ${message}` : `${code} (${status}): ${message}`;
}
