/** Signed requests that no SDK would send. */
import { createHash } from 'node:crypto';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { lookupHere } from './lookup-here.ts';
import type { RunningOss } from './oss.ts';
import { signHeaders } from './sigv4.ts';
import { findText } from './xml.ts';

export interface RawOptions {
  /** With the port; the bucket's own by default. */
  host?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Sends neither Content-Length nor Transfer-Encoding. */
  withoutLength?: boolean;
  payloadHash?: string;
  date?: Date;
  secretAccessKey?: string;
  accessKeyId?: string;
  region?: string;
  /** Changes what was signed. */
  afterSigning?: (headers: Record<string, string>) => void;
  /** Sends it unsigned, as a browser follows a presigned address. */
  unsigned?: boolean;
}

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** Of an error. */
  code: string | undefined;
}

/** Sends one request, path and query as they are given. */
export function sendRaw(oss: RunningOss, method: string, target: string, options: RawOptions = {}): Promise<RawAnswer> {
  const host = options.host ?? `${oss.bucket}.${new URL(oss.endpoint).host}`;
  const { hostname, port } = new URL(`http://${host}`);
  const length: Record<string, string> =
    options.body === undefined || options.withoutLength || options.headers?.['transfer-encoding']
      ? {}
      : { 'content-length': String(Buffer.byteLength(options.body)) };
  const plain = { host, ...length, ...options.headers };
  const headers = options.unsigned
    ? plain
    : signHeaders(
        {
          method,
          target,
          headers: plain,
          ...(options.payloadHash === undefined ? {} : { payloadHash: options.payloadHash }),
          ...(options.date === undefined ? {} : { date: options.date }),
        },
        {
          accessKeyId: options.accessKeyId ?? oss.accessKeyId,
          secretAccessKey: options.secretAccessKey ?? oss.secretAccessKey,
          region: options.region ?? oss.region,
        },
      );
  options.afterSigning?.(headers);
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: hostname,
      port,
      lookup: lookupHere,
      agent: false,
      method,
      path: target,
      headers,
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const body = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, code: findText(body, 'Code') });
      });
    });
    if (options.withoutLength) {
      // Headers that are flushed before the body have no length; without this setting, they would have `chunked`.
      request.useChunkedEncodingByDefault = false;
      request.flushHeaders();
      request.end();
    } else request.end(options.body);
  });
}

export function contentMd5(body: string | Uint8Array): string {
  return createHash('md5').update(body).digest('base64');
}
