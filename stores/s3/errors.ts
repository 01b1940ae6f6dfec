/** Translates the SDK's errors into StoreErrors. */
import { StoreError, type StoreErrorCode } from '../store.ts';

const CODES: Record<string, StoreErrorCode> = {
  NoSuchKey: 'missing',
  NoSuchUpload: 'missing',
  NotFound: 'missing',
  NoSuchBucket: 'unavailable',
  QuotaExceeded: 'full',
  InsufficientStorage: 'full',
  // A limit of the provider or of the bucket.
  EntityTooLarge: 'failed',
};

/** Codes of errors with a 4xx status that a retry may overcome. */
const PASSING = new Set([
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'SlowDown',
  'TooManyRequests',
  'TotalQpsLimitExceeded',
  'ThrottlingException',
  'OperationAborted',
  // AWS: a conditional put at the same time as another call for the same key.
  'ConditionalRequestConflict',
  // The answer broke off before its body named a code.
  'ECONNRESET',
  // The body was damaged on the way: Content-MD5 did not match.
  'BadDigest',
  'InvalidDigest',
]);

/** What the codes of a refusal mean for the operator. */
const SENTENCES: Record<string, string> = {
  InvalidAccessKeyId: 'the access key is not known there: check S3_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'the secret key does not fit the access key: check S3_SECRET_ACCESS_KEY',
  NoSuchBucket: 'the bucket is not there: check S3_BUCKET, or create it',
  AccessDenied: 'the key has no right to this bucket: check its policy',
  RequestTimeTooSkewed: "this machine's clock is off: set it (NTP)",
  PermanentRedirect: 'the bucket is in another region: check S3_REGION and S3_ENDPOINT',
  AuthorizationHeaderMalformed: 'the bucket is in another region: check S3_REGION',
  SecondLevelDomainForbidden: 'the endpoint takes the bucket in the host name only: set S3_PATH_STYLE=false',
  EntityTooSmall:
    'the bucket takes no parts as small as S3_PART_BYTES: raise it, or with Ceph lower rgw_multipart_min_part_size',
  SlowDown: 'the provider asks for fewer calls: try again later',
  PublicEndpointForbidden:
    'the provider refuses its public endpoint: bind a domain to the bucket, and set S3_ENDPOINT to it and S3_ENDPOINT_IS_BUCKET=true',
  ENOTFOUND: 'its name cannot be resolved: check S3_ENDPOINT',
  EAI_AGAIN: 'its name cannot be resolved now: check S3_ENDPOINT and the DNS',
  ECONNREFUSED: 'nothing listens there: check S3_ENDPOINT',
  EHOSTUNREACH: 'there is no way to its address: check S3_ENDPOINT and the network',
  ENETUNREACH: 'there is no way to its address: check S3_ENDPOINT and the network',
  ETIMEDOUT: 'nothing answers there in time: check S3_ENDPOINT, and firewalls on the way',
  CERT_HAS_EXPIRED: 'its certificate has expired: renew it',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name: check S3_ENDPOINT and S3_PATH_STYLE',
  // Not codes of providers or the system: `reasonOf` and check.ts derive them from other evidence.
  NotS3: 'what answers there does not speak S3: check S3_ENDPOINT',
  NotHttp: 'what answers there does not speak HTTP: check S3_ENDPOINT',
  TlsOnly: 'what listens there speaks TLS: begin S3_ENDPOINT with https',
  NoTls: 'what listens there does not speak TLS: begin S3_ENDPOINT with http, or check its port',
  NotTrusted: "its certificate is not trusted here: name its authority's in NODE_EXTRA_CA_CERTS",
  OtherAddressing: 'the endpoint does not take the bucket in the host name: set S3_PATH_STYLE=true',
  GatewayFailed: 'a proxy in front of it cannot reach it: see whether the store runs',
};

/** Codes of a certificate that no trusted authority has issued (X509_verify_cert). */
const NOT_TRUSTED =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(?:GET_ISSUER_CERT(?:_LOCALLY)?|VERIFY_LEAF_SIGNATURE))$/;

/** A problem with the bucket that no code of the provider or the system names. */
export class BucketError extends Error {
  readonly code: string;

  /** @param code - a key of `SENTENCES`. */
  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'BucketError';
    this.code = code;
  }
}

interface SdkError extends Error {
  Code?: string;
  code?: string;
  $metadata?: { requestId?: string; httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

/** The provider's code of a refusal, or the system's of a broken connection: `NoSuchKey`, `ECONNRESET`. */
export function codeOf(error: unknown): string {
  const { Code, code, name } = error as SdkError;
  return [Code, code, name].find((text) => typeof text === 'string' && text !== '' && text !== 'Error') ?? 'unknown';
}

/** The HTTP status of the answer; undefined where none came. */
export function statusOf(error: unknown): number | undefined {
  return (error as SdkError).$metadata?.httpStatusCode;
}

/** How long the provider asks to wait, in ms. */
export function retryAfterOf(error: unknown): number | undefined {
  const seconds = Number((error as SdkError).$response?.headers?.['retry-after']);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

/** Whether a 404 does not come from S3, but from a proxy that has lost its route: it says nothing about the object. */
function isStrange404(error: unknown): boolean {
  const code = codeOf(error);
  if (statusOf(error) !== 404 || code.startsWith('NoSuch')) return false;
  return (error as SdkError).$metadata?.requestId === undefined;
}

/** Whether a retry of the same call may succeed. */
export function isPassing(error: unknown): boolean {
  if (error instanceof StoreError || error instanceof BucketError) return false;
  const status = statusOf(error);
  const code = codeOf(error);
  if (PASSING.has(code) || status === 429 || status === 408) return true;
  if (code === 'NotImplemented' || status === 501) return false;
  if (isStrange404(error)) return true;
  // No status: the connection broke. A 2xx: the answer broke off, or contained an error.
  return status === undefined || status >= 500 || status < 300;
}

/**
 * Translates the error of a call; a StoreError stays as it is.
 *
 * @param doing - what the call did, for the message: "storing part 3 of upload 12ab".
 */
export function toStoreError(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  hideResponse(error);
  const status = statusOf(error);
  const code = codeOf(error);
  const refused = status === 401 || status === 403 || status === 301 || status === 307;
  const kind = isStrange404(error)
    ? 'unavailable'
    : (CODES[code] ?? (refused || isPassing(error) ? 'unavailable' : ('failed' as const)));
  return new StoreError(kind, `${doing}: ${describe(error)}`, error);
}

/** Hides the SDK's `$response` from the log: it contains the whole exchange, including sockets and the signature. */
function hideResponse(error: unknown): void {
  if (typeof error === 'object' && error !== null && '$response' in error) {
    Object.defineProperty(error, '$response', { enumerable: false });
  }
}

/** Why the bucket cannot be used, in words for the operator. */
export function describe(error: unknown): string {
  hideResponse(error);
  const sentence = explain(error);
  if (sentence !== undefined) return `${sentence} (${labelOf(error)})`;
  const code = codeOf(error);
  const status = statusOf(error);
  // The SDK's own errors have a second line.
  const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return status === undefined ? `${code}: ${message}` : `${code} (${status}): ${message}`;
}

/** What a refusal means for the operator; undefined where `SENTENCES` has nothing for it. */
export function explain(error: unknown): string | undefined {
  return SENTENCES[reasonOf(error)];
}

/** How messages name a refusal: by its code, or by the status where it has none. */
export function labelOf(error: unknown): string {
  const code = codeOf(error);
  const status = statusOf(error);
  return /^unknown$/i.test(code) && status !== undefined ? `HTTP ${status}` : code;
}

/** The key in `SENTENCES` for an error: its code, unless the code has several meanings. */
function reasonOf(error: unknown): string {
  const { Code, $metadata } = error as SdkError;
  const message = error instanceof Error ? error.message : '';
  const code = codeOf(error);
  // OSS: a signature made for another region, and a bucket of another region.
  if (code === 'InvalidArgument' && message.includes('signing region')) return 'AuthorizationHeaderMalformed';
  if (code === 'AccessDenied' && message.includes('specified endpoint')) return 'PermanentRedirect';
  if (NOT_TRUSTED.test(code)) return 'NotTrusted';
  // OpenSSL's messages for an answer that is not TLS.
  if (/wrong version number|packet length too long/i.test(message)) return 'NoTls';
  // Node's HTTP parser.
  if (code.startsWith('HPE_')) return 'NotHttp';
  const status = statusOf(error);
  if (status === undefined || Code !== undefined || $metadata?.requestId !== undefined) return code;
  if (status >= 502 && status <= 504) return 'GatewayFailed';
  // The answer to a HEAD has no body that would name a code.
  return status < 500 && SENTENCES[code] === undefined && code !== 'NotFound' ? 'NotS3' : code;
}
