/** A minimal tus client, for tests that look at single requests. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** `error.code` of a JSON body, or `code` of a problem document. */
  code: string | undefined;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  body?: Uint8Array | string | Readable;
  /** The path to send as it is, where the URL class would normalise it. */
  rawPath?: string;
}

/** Sends one request and reads the whole answer. */
export function send(method: string, url: string, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body } = options;
    const length: Record<string, string> =
      (typeof body === 'string' || body instanceof Uint8Array) && !options.headers?.['Transfer-Encoding']
        ? { 'Content-Length': String(Buffer.byteLength(body)) }
        : {};
    const request = httpRequest(
      url,
      { method, headers: { ...length, ...options.headers }, ...(options.rawPath ? { path: options.rawPath } : {}) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, code: codeOf(text) });
        });
      },
    );
    request.on('error', reject);
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) request.end(body);
    else body.pipe(request);
  });
}

export const TUS = { 'Tus-Resumable': '1.0.0' };

/** `{ filename: 'a.txt' }` -> an Upload-Metadata header. */
export function encodeMetadata(metadata: Record<string, string>): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',');
}

/** Creates an upload. @returns its address. */
export async function createUpload(
  url: string,
  length: number,
  metadata: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await send('POST', `${url}/uploads`, {
    headers: { ...TUS, 'Upload-Length': String(length), 'Upload-Metadata': encodeMetadata(metadata), ...headers },
  });
  if (answer.status !== 201) throw new Error(`POST /uploads: ${answer.status} ${answer.body}`);
  return answer.headers.location ?? '';
}

export function patch(
  location: string,
  offset: number,
  body: Uint8Array | string | Readable,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return send('PATCH', location, {
    headers: {
      ...TUS,
      'Upload-Offset': String(offset),
      'Content-Type': 'application/offset+octet-stream',
      ...headers,
    },
    body,
  });
}

export function head(location: string, headers: Record<string, string> = {}): Promise<Answer> {
  return send('HEAD', location, { headers: { ...TUS, ...headers } });
}

/** `error.code` of a JSON body, or `code` of a problem document. */
export function codeOf(text: string): string | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const json = JSON.parse(text) as { error?: { code?: string }; code?: string };
    return json.error?.code ?? json.code;
  } catch {
    return undefined;
  }
}
