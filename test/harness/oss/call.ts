/** The type of a call to the double, as its handlers get it, and what handlers share. */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { S3Call } from '../s3-call.ts';
import { OssError } from './errors.ts';
import type { Blob, ObjectHeaders, Storage } from './storage.ts';

export interface OssSettings {
  bucket: string;
  region: string;
  /**
   * `forbidden`: only `ownDomain` and the internal endpoint are served, as for accounts in mainland
   * China since March 2025.
   */
  publicHost: 'allowed' | 'forbidden';
  /** A domain that leads to the bucket (CNAME); the SDK gets there with `bucketEndpoint`. */
  ownDomain: string | undefined;
  /** The code with which aws-chunked bodies are refused; OSS has answered both. */
  chunkedBodies: 'InvalidArgument' | 'NotImplemented';
  /** The status of a refused conditional write; OSS has answered both. */
  conditionalWriteStatus: 400 | 501;
  /** How far the double's clock is ahead of this machine's. */
  clockOffsetMs: number;
  /** By how much the time of a signature may differ from it; OSS: 15 minutes. */
  mostSkewMs: number;
}

export interface OssCall extends S3Call {
  request: IncomingMessage;
  /** x-amz-content-sha256, checked as far as it can be without the body. */
  payloadHash: string;
  /** Whether the request came in by the domain of OSS itself. */
  isDefaultDomain: boolean;
  settings: OssSettings;
  storage: Storage;
}

export interface Reply {
  status: number;
  headers?: OutgoingHttpHeaders;
  body?: string | Readable;
}

export type Handler = (call: OssCall) => Promise<Reply> | Reply;

export function header(call: OssCall, name: string): string | undefined {
  return call.request.headersDistinct[name]?.[0];
}

export function xmlReply(body: string): Reply {
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body };
}

/** Stores the body of a PUT, and verifies it against the digests in the request's headers. */
export async function receiveBody(call: OssCall): Promise<Blob> {
  const { request, storage, payloadHash } = call;
  const isChunked = /\bchunked\b/i.test(request.headers['transfer-encoding'] ?? '');
  if (request.headers['content-length'] === undefined && !isChunked) throw new OssError('MissingContentLength');
  const wantedMd5 = readContentMd5(call);
  const wantsSha256 = /^[\da-f]{64}$/.test(payloadHash);
  const blob = await storage.receive(request, { sha256: wantsSha256 });
  if (wantedMd5 !== undefined && wantedMd5 !== blob.md5) {
    storage.discard([blob]);
    throw new OssError('InvalidDigest');
  }
  if (wantsSha256 && blob.sha256 !== payloadHash) {
    storage.discard([blob]);
    throw new OssError('XAmzContentSHA256Mismatch');
  }
  return blob;
}

/** Reads a small body, such as XML, and verifies it likewise. */
export async function receiveText(call: OssCall, mostBytes: number): Promise<string> {
  const length = Number(call.request.headers['content-length'] ?? Number.NaN);
  if (length > mostBytes) throw new OssError('MalformedXML', 'The body is too long.');
  const blob = await receiveBody(call);
  try {
    if (blob.size > mostBytes) throw new OssError('MalformedXML', 'The body is too long.');
    return await readFile(blob.path, 'utf8');
  } finally {
    call.storage.discard([blob]);
  }
}

/** Content-MD5 as hex. */
function readContentMd5(call: OssCall): string | undefined {
  const given = header(call, 'content-md5');
  if (given === undefined) return undefined;
  const bytes = Buffer.from(given, 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== given) throw new OssError('InvalidDigest');
  return bytes.toString('hex');
}

const KEPT_HEADERS = ['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'expires'];

/** The headers of an object, from the request that creates it. */
export function readObjectHeaders({ request: { headersDistinct: sent } }: OssCall): ObjectHeaders {
  const kept: ObjectHeaders = { 'content-type': sent['content-type']?.[0] ?? 'application/octet-stream' };
  for (const [name, values] of Object.entries(sent)) {
    if (KEPT_HEADERS.includes(name) || name.startsWith('x-amz-meta-')) kept[name] = values?.join(',') ?? '';
  }
  return kept;
}

const WRITE_CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];

/** Refuses conditional writes: OSS supports only its own header, x-oss-forbid-overwrite. */
export function refuseConditions(call: OssCall): void {
  for (const name of WRITE_CONDITIONS) {
    if (header(call, name) !== undefined) {
      throw new OssError(
        'NotImplemented',
        `${name} on a write is not implemented.`,
        call.settings.conditionalWriteStatus,
      );
    }
  }
}

export function refuseOverwrite(call: OssCall): void {
  if (header(call, 'x-oss-forbid-overwrite') === 'true' && call.storage.objects.has(call.key)) {
    throw new OssError('FileAlreadyExists');
  }
}

export function quote(etag: string): string {
  return `"${etag}"`;
}
