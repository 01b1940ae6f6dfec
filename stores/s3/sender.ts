/**
 * The calls that store an upload: PutObject, and those of a multipart upload. They are made for every part and every small
 * file, and the SDK takes several times as much of the processor for a call as the call itself. They need an address, a
 * signature, and a word of the answer: docs/decisions/0060-calls-that-store.md.
 */
import { createHash } from 'node:crypto';
import { PutObjectCommand, type S3 } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { SYSTEM } from '../surroundings.ts';
import { isRefusal, refusalOf } from './answers.ts';
import { type Agents, type Answer, exchange, type Outgoing } from './exchange.ts';
import { createSigner, encodePath, encodeQuery, type Sign, UNSIGNED_PAYLOAD, type Unsigned } from './signature.ts';

/** For calls with content: a connection counts as broken when nothing moves on it for this long. */
const SILENCE_MS = 30_000;

/** What is stored, and where. */
export interface Content {
  key: string;
  /** What the address says beside the key, in the order of the names. */
  query?: Unsigned['query'];
  /** By name in lower case. */
  headers?: Readonly<Record<string, string>>;
  bytes: Uint8Array;
}

/**
 * Makes single attempts at calls. They throw the error of a broken connection, or a refusal in the form of the SDK's errors,
 * also where a refusal follows a status of 200.
 */
export interface Sender {
  /** Stores content, which is not signed: it carries Content-MD5. @returns the ETag, as the provider wrote it; '' without one. */
  put(content: Content, options: { abortSignal: AbortSignal }): Promise<string>;
  /** Has the provider do something. Its answer may take long. @returns the answer's XML. */
  post(content: Content, options: { abortSignal: AbortSignal }): Promise<string>;
}

/** Where the bucket is, and who signs. */
interface Target extends Pick<Outgoing, 'isSecure' | 'hostname' | 'port'> {
  /** As the header has it. */
  host: string;
  /** The path in front of the key. */
  path: string;
  sign: Sign;
}

/**
 * Makes a sender. It finds the bucket where the SDK's client finds it, and signs with that client's key.
 *
 * @param bucket - as `bucketOf` returns it.
 */
export function createSender(client: S3, bucket: string, agents: Agents): Sender {
  let found: Promise<Target> | undefined;
  /** How far the provider's clock is ahead of this machine's, once it has refused a signature for that. */
  let aheadMs = 0;

  function target(): Promise<Target> {
    found ??= findTarget(client, bucket).catch((error: unknown) => {
      found = undefined;
      throw error;
    });
    return found;
  }

  async function send(
    { key, query = [], headers = {}, bytes }: Content,
    { method, payloadHash, silenceMs }: { method: string; payloadHash: string; silenceMs: number },
    abortSignal: AbortSignal,
  ): Promise<Answer> {
    const { host, path: prefix, sign, ...to } = await target();
    const path = prefix + encodePath(key);
    const all = { ...headers, host, 'content-length': String(bytes.length) };
    // The machine's clock, whatever the surroundings: the provider compares it with its own.
    const atMs = SYSTEM.wallMs() + aheadMs;
    const signed = sign({ method, path, query, headers: all, payloadHash, atMs });
    const address = query.length > 0 ? `${path}?${encodeQuery(query)}` : path;
    const outgoing: Outgoing = { ...to, method, path: address, headers: signed, bytes, silenceMs };
    const answer = await exchange(outgoing, agents, abortSignal);
    if (!isRefusal(answer)) return answer;
    const refusal = refusalOf(answer);
    const thereMs = Date.parse(answer.headers.date ?? '');
    if (refusal.name === 'RequestTimeTooSkewed' && !Number.isNaN(thereMs)) aheadMs = thereMs - SYSTEM.wallMs();
    throw refusal;
  }

  return {
    put: async (content, { abortSignal }) => {
      const how = { method: 'PUT', payloadHash: UNSIGNED_PAYLOAD, silenceMs: SILENCE_MS };
      return (await send(content, how, abortSignal)).headers.etag ?? '';
    },
    post: async (content, { abortSignal }) => {
      const payloadHash = createHash('sha256').update(content.bytes).digest('hex');
      return (await send(content, { method: 'POST', payloadHash, silenceMs: 0 }, abortSignal)).text;
    },
  };
}

/** Has the SDK sign the address of an object: it knows the rules by which a bucket has an address. */
async function findTarget(client: S3, bucket: string): Promise<Target> {
  const key = 'x';
  const url = new URL(await getSignedUrl(client, new PutObjectCommand({ Bucket: bucket, Key: key })));
  const { accessKeyId, secretAccessKey } = await client.config.credentials();
  // key/day/region/service/aws4_request: the rules may sign for another region than the one that is set.
  const region = url.searchParams.get('X-Amz-Credential')?.split('/').at(-3) ?? (await client.config.region());
  return {
    isSecure: url.protocol === 'https:',
    hostname: url.hostname.replaceAll(/[[\]]/g, ''),
    port: url.port,
    host: url.host,
    path: url.pathname.slice(0, -key.length),
    sign: createSigner({ accessKeyId, secretAccessKey, region }),
  };
}
