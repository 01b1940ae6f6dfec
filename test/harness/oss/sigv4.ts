/** AWS Signature Version 4, as the server checks it; and a signer for requests that no SDK would send. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { splitTarget } from '../s3-call.ts';
import { OssError } from './errors.ts';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

const ALGORITHM = 'AWS4-HMAC-SHA256';
// S3: the longest life of a presigned address, a week.
const LONGEST_EXPIRY_S = 604_800;

type CheckedRequest = Pick<IncomingMessage, 'method' | 'url' | 'headersDistinct'>;

/** When the request came, by the clock of the double, and by how much the time of its signature may differ. */
export interface SignatureTime {
  nowMs: number;
  mostSkewMs: number;
}

/** What a request says about its signature, from the header or from the query. */
interface Claim {
  scope: string;
  date: string;
  signedHeaders: string[];
  signature: string;
  payloadHash: string;
  expiresInS: number | undefined;
}

/**
 * Checks the signature.
 *
 * @returns what the request says of its body's SHA-256: x-amz-content-sha256.
 * @throws OssError that says what is wrong with it.
 */
export function verifySignature(request: CheckedRequest, credentials: Credentials, time: SignatureTime): string {
  const claim = readClaim(request);
  const [accessKeyId, day, region, service, ending, ...rest] = claim.scope.split('/');
  if (service !== 's3' || ending !== 'aws4_request' || rest.length > 0 || day !== claim.date.slice(0, 8)) {
    throw new OssError('InvalidArgument', 'Invalid credential scope.');
  }
  if (accessKeyId !== credentials.accessKeyId) throw new OssError('InvalidAccessKeyId');
  // The sentence of OSS itself (EC 0002-00000226).
  if (region !== credentials.region)
    throw new OssError('InvalidArgument', 'Invalid signing region in Authorization header.');
  checkTime(claim, time);
  for (const name of [
    'host',
    ...Object.keys(request.headersDistinct).filter((header) => header.startsWith('x-amz-')),
  ]) {
    if (!claim.signedHeaders.includes(name)) throw new OssError('AccessDenied', `The header ${name} is not signed.`);
  }
  const expected = calculateSignature({
    method: request.method ?? '',
    target: request.url ?? '',
    headers: request.headersDistinct,
    credentials,
    ...claim,
  });
  if (!isSame(expected, claim.signature)) throw new OssError('SignatureDoesNotMatch');
  return claim.payloadHash;
}

export interface RawRequest {
  method: string;
  /** Path and query as they will be sent. */
  target: string;
  /** With `host`, and every header that is to be signed. */
  headers: Record<string, string>;
  /** Hex, `UNSIGNED-PAYLOAD`, or something that has to be refused. */
  payloadHash?: string;
  date?: Date;
}

/** Signs all headers. @returns them, with the signature. */
export function signHeaders(request: RawRequest, credentials: Credentials): Record<string, string> {
  const date = (request.date ?? new Date()).toISOString().replace(/[-:]|\.\d+/g, '');
  const payloadHash = request.payloadHash ?? UNSIGNED_PAYLOAD;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name.toLowerCase()] = value;
  Object.assign(headers, { 'x-amz-date': date, 'x-amz-content-sha256': payloadHash });
  const signedHeaders = Object.keys(headers).sort();
  const scope = `${credentials.accessKeyId}/${date.slice(0, 8)}/${credentials.region}/s3/aws4_request`;
  const signature = calculateSignature({
    method: request.method,
    target: request.target,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    credentials,
    date,
    scope,
    signedHeaders,
    payloadHash,
  });
  headers['authorization'] =
    `${ALGORITHM} Credential=${scope}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`;
  return headers;
}

function readClaim({ url = '', headersDistinct: headers }: CheckedRequest): Claim {
  const payloadHash = headers['x-amz-content-sha256']?.[0];
  const authorization = headers['authorization']?.[0];
  if (authorization !== undefined) {
    const found = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([\da-f]{64})$/.exec(
      authorization,
    );
    if (!found) throw new OssError('AccessDenied', 'The authorization header is not of Signature Version 4.');
    if (payloadHash === undefined) throw new OssError('InvalidArgument', 'x-amz-content-sha256 is missing.');
    const [, scope = '', signedHeaders = '', signature = ''] = found;
    const date = headers['x-amz-date']?.[0] ?? '';
    return { scope, date, signedHeaders: signedHeaders.split(';'), signature, payloadHash, expiresInS: undefined };
  }
  const query = new Map(readQuery(splitTarget(url).query));
  const value = (name: string): string => query.get(name) ?? '';
  if (value('X-Amz-Algorithm') !== ALGORITHM) throw new OssError('AccessDenied', 'The request is not signed.');
  return {
    scope: value('X-Amz-Credential'),
    date: value('X-Amz-Date'),
    signedHeaders: value('X-Amz-SignedHeaders').split(';'),
    signature: value('X-Amz-Signature'),
    payloadHash: query.get('X-Amz-Content-Sha256') ?? payloadHash ?? UNSIGNED_PAYLOAD,
    expiresInS: Number(value('X-Amz-Expires')),
  };
}

function checkTime({ date, expiresInS }: Claim, { nowMs, mostSkewMs }: SignatureTime): void {
  const [, day, time] = /^(\d{8})T(\d{6})Z$/.exec(date) ?? [];
  if (day === undefined || time === undefined)
    throw new OssError('AccessDenied', 'The date of the signature is not valid.');
  const signedMs = Date.parse(
    `${day.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`,
  );
  if (expiresInS === undefined) {
    if (!(Math.abs(nowMs - signedMs) <= mostSkewMs)) throw new OssError('RequestTimeTooSkewed');
    return;
  }
  if (!(Number.isInteger(expiresInS) && expiresInS >= 1 && expiresInS <= LONGEST_EXPIRY_S)) {
    throw new OssError('InvalidArgument', 'X-Amz-Expires is not a number from 1 to 604800.');
  }
  if (signedMs - nowMs > mostSkewMs) throw new OssError('RequestTimeTooSkewed');
  if (!(nowMs <= signedMs + expiresInS * 1000)) throw new OssError('AccessDenied', 'Request has expired.');
}

interface SignatureInput {
  method: string;
  target: string;
  headers: NodeJS.Dict<string[]>;
  credentials: Credentials;
  scope: string;
  date: string;
  signedHeaders: string[];
  payloadHash: string;
}

function calculateSignature(input: SignatureInput): string {
  const { path, query } = splitTarget(input.target);
  const canonicalRequest = [
    input.method,
    path
      .split('/')
      .map((segment) => encode(decode(segment)))
      .join('/'),
    readQuery(query)
      .filter(([name]) => name !== 'X-Amz-Signature')
      .map(([name, value]) => [encode(name), encode(value)] as const)
      .sort(([a, av], [b, bv]) => (a === b ? compare(av, bv) : compare(a, b)))
      .map((pair) => pair.join('='))
      .join('&'),
    ...input.signedHeaders.map(
      (name) => `${name}:${(input.headers[name] ?? []).map((value) => value.trim().replace(/\s+/g, ' ')).join(',')}`,
    ),
    '',
    input.signedHeaders.join(';'),
    input.payloadHash,
  ].join('\n');
  const [, ...scope] = input.scope.split('/');
  const text = [ALGORITHM, input.date, scope.join('/'), createHash('sha256').update(canonicalRequest).digest('hex')];
  let key: string | Buffer = `AWS4${input.credentials.secretAccessKey}`;
  for (const step of scope) key = createHmac('sha256', key).update(step).digest();
  return createHmac('sha256', key).update(text.join('\n')).digest('hex');
}

function readQuery(query: string): [name: string, value: string][] {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', ...value] = part.split('=');
      return [decode(name), decode(value.join('='))];
    });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new OssError('InvalidURI');
  }
}

/** S3's UriEncode: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
