/** What a request says about the file that it brings: its name, its media type and its digests. */
import contentDisposition from 'content-disposition';
import type { IncomingHttpHeaders } from 'node:http';
import type { Declaration, OnConflict } from '../../uploads/contract.ts';
import { cleanName, mediaTypeOf } from '../../wire/labels.ts';
import { readReprDigest } from './digests.ts';
import { mediaTypeOfContent, PARTIAL_TYPE } from './fields.ts';
import { refusal } from './refusals.ts';

/** Types that say nothing about a file: that of a part of it, and those that programs send where they know none. */
const NO_TYPE = new Set([PARTIAL_TYPE, 'application/octet-stream', 'application/x-www-form-urlencoded']);

/** What a query says about the file. */
export interface NamedInQuery {
  name: string | undefined;
  onConflict: OnConflict | undefined;
}

/**
 * Reads the declaration of a new upload, without its length.
 *
 * @param query - of the request; its name counts before Content-Disposition.
 * @param computed - the digests that the service computes of each file.
 * @throws `unsupported_media_type` for a form, `invalid_field` for a digest.
 */
export function readDeclaration(
  headers: IncomingHttpHeaders,
  { name, onConflict }: NamedInQuery,
  computed: readonly string[],
): Declaration {
  const type = mediaTypeOfContent(headers);
  if (type?.startsWith('multipart/')) {
    const message = 'The body is taken as the file itself; forms are sent to /upload.';
    throw refusal('unsupported_media_type', { field: 'Content-Type', message });
  }
  return {
    size: null,
    metadata: '',
    filename: name ?? cleanName(nameOf(headers) ?? ''),
    filetype: type === undefined || NO_TYPE.has(type) ? null : mediaTypeOf(headers['content-type']),
    onConflict: onConflict ?? null,
    ...readReprDigest(headers, computed),
  };
}

/** The name in Content-Disposition (RFC 6266). A field that is not valid counts as absent. */
function nameOf({ 'content-disposition': field }: IncomingHttpHeaders): string | undefined {
  if (field === undefined) return undefined;
  try {
    const { filename } = contentDisposition.parse(field).parameters;
    return filename === undefined || /filename\*/i.test(field) ? filename : asUtf8(filename);
  } catch {
    return undefined;
  }
}

/** A name that was sent as UTF-8, without being encoded: Node reads header bytes as Latin-1. */
function asUtf8(text: string): string {
  const decoded = Buffer.from(text, 'latin1').toString('utf8');
  return decoded.includes('\ufffd') ? text : decoded;
}
