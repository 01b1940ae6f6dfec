/**
 * Checks request headers by the protocol's text, before the library sees them: the
 * library is laxer in places. Section names in quotes are those of the tus resumable
 * upload protocol 1.0.0, https://tus.io/protocols/resumable-upload
 */
import type { IncomingHttpHeaders } from 'node:http';
import { hasBody } from './body.ts';
import { checkFinal, readConcatenation } from './concatenation.ts';
import { invalidHeader, refusal } from './refusals.ts';

export const TUS_VERSION = '1.0.0';
const OFFSET_TYPE = 'application/offset+octet-stream';

/**
 * Checks a request's tus headers.
 *
 * @throws `unsupported_tus_version` (412 with Tus-Version), `unsupported_media_type`
 *   (415), `invalid_field` (400).
 */
export function checkProtocol(method: string, headers: IncomingHttpHeaders): void {
  if (headers['tus-resumable'] !== TUS_VERSION) {
    throw refusal('unsupported_tus_version', {
      field: 'Tus-Resumable',
      headers: { 'Tus-Version': TUS_VERSION },
    });
  }
  if (method === 'PATCH') checkContentType(headers);
  if (method === 'POST') checkCreation(headers);
  checkWholeNumber(headers, 'Upload-Offset', method === 'PATCH');
  checkWholeNumber(headers, 'Upload-Length', false);
  checkDeferred(headers);
}

function checkCreation(headers: IncomingHttpHeaders): void {
  if (readConcatenation(headers)?.kind === 'final') {
    checkFinal(headers);
    return;
  }
  // A chunked body without a type may turn out to be empty: the endpoint checks the type once bytes arrive.
  const isSeenLater = headers['transfer-encoding'] !== undefined && headers['content-type'] === undefined;
  if (hasBody(headers) && !isSeenLater) checkContentType(headers);
  checkWholeNumber(headers, 'Upload-Length', false);
  checkDeferred(headers);
  const deferred = headers['upload-defer-length'];
  if ((headers['upload-length'] === undefined) === (deferred === undefined)) {
    throw invalidHeader('Upload-Length', 'Exactly one of Upload-Length and Upload-Defer-Length: 1 is required.');
  }
}

function checkDeferred({ 'upload-defer-length': deferred }: IncomingHttpHeaders): void {
  if (deferred === undefined || deferred === '1') return;
  throw invalidHeader('Upload-Defer-Length', 'Upload-Defer-Length must be 1.');
}

/** @throws `unsupported_media_type`. */
export function checkContentType(headers: IncomingHttpHeaders): void {
  // Parameters, which some libraries add, are ignored: the body is bytes in any case.
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== OFFSET_TYPE) {
    throw refusal('unsupported_media_type', {
      field: 'Content-Type',
      message: `Content-Type must be ${OFFSET_TYPE}.`,
    });
  }
}

function checkWholeNumber(headers: IncomingHttpHeaders, name: string, required: boolean): void {
  const value = headers[name.toLowerCase()];
  if (value === undefined && !required) return;
  // No sign, no leading zero: the library compares it as text.
  if (typeof value !== 'string' || !/^(?:0|[1-9]\d{0,15})$/.test(value) || !Number.isSafeInteger(Number(value))) {
    throw invalidHeader(name, `${name} must be a whole number of bytes.`);
  }
}
