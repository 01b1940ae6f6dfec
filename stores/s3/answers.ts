/** Reads and writes the XML of the few calls that are made without the SDK. */
import type { Answer } from './exchange.ts';
import type { SentPart } from './storing.ts';

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The text of the first element of this name; undefined where there is none, or it is empty. */
export function textOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]+)</${name}>`).exec(xml)?.[1];
  return text?.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|([a-z]+));/gi, (all, decimal, hex, entity: string | undefined) => {
    if (entity !== undefined) return ENTITIES[entity] ?? all;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}

/** Whether an answer refuses, also after it began with 200. */
export function isRefusal({ status, text }: Answer): boolean {
  return status < 200 || status > 299 || /<Error[\s>]/.test(text);
}

/** A refusal in the form of the SDK's errors, which `errors.ts` reads. */
export function refusalOf({ status, headers, text }: Answer): Error {
  const code = textOf(text, 'Code');
  const requestId = headers['x-amz-request-id'] ?? headers['x-amzn-requestid'];
  const error = Object.assign(new Error(textOf(text, 'Message') ?? `the answer has status ${status}`), {
    // As the SDK has it. A proxy's 404 has no id: it says nothing about the object.
    name: code ?? (status === 404 && requestId !== undefined ? 'NotFound' : 'Unknown'),
    ...(code === undefined ? {} : { Code: code }),
    $metadata: { httpStatusCode: status, ...(typeof requestId === 'string' ? { requestId } : {}) },
  });
  return Object.defineProperty(error, '$response', { value: { headers }, enumerable: false });
}

/** The body of CompleteMultipartUpload. */
export function listOfParts(parts: readonly SentPart[]): string {
  const list = parts.map(({ number, etag }) => {
    const escaped = etag.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
    return `<Part><ETag>${escaped}</ETag><PartNumber>${number}</PartNumber></Part>`;
  });
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${list.join('')}</CompleteMultipartUpload>`;
}
