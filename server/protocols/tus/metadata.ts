/** The Upload-Metadata header: what a client declares about a file before sending it. */
import type { Declaration } from '../../uploads/contract.ts';
import type { Refusal } from '../../refusal.ts';
import { cleanName, isAbsent, mediaTypeOf } from '../../wire/labels.ts';
import { checkDigest } from '../../uploads/names.ts';
import { decodeBase64 } from '../base64.ts';
import { refusal } from './refusals.ts';

/** The longest Upload-Metadata that the service accepts. */
const MAX_METADATA_BYTES = 8 * 1024;

const METADATA_KEY = /^[\x21-\x2b\x2d-\x7e]+$/;

/**
 * Reads the Upload-Metadata header (tus 1.0, Creation): comma-separated pairs of a
 * key and, after a space, a Base64 value. The keys filename, filetype, md5, sha1,
 * sha256 and onconflict have a meaning to the service (and name and type, as older
 * spellings); it keeps the others and returns them. A name is cleaned, and an invalid type,
 * or an unknown value of onconflict, counts as absent (labels.ts).
 *
 * @param header - the header; undefined where there was none.
 * @param size - declared length in bytes; null while deferred.
 * @throws `invalid_metadata`, or `invalid_field` with the key.
 */
export function readDeclaration(header: string | undefined, size: number | null): Declaration {
  const metadata = header?.trim() ?? '';
  if (Buffer.byteLength(metadata) > MAX_METADATA_BYTES) {
    throw invalidMetadata(`Upload-Metadata must be at most ${MAX_METADATA_BYTES} bytes long.`);
  }
  const values = parseMetadata(metadata);
  const filename = textOf(values, 'filename') || textOf(values, 'name');
  return {
    size,
    metadata,
    filename: filename === undefined ? null : cleanName(filename),
    filetype: mediaTypeOf(textOf(values, 'filetype')) ?? mediaTypeOf(textOf(values, 'type')),
    onConflict: textOf(values, 'onconflict') === 'replace' ? 'replace' : null,
    md5: digestOf(values, 'md5'),
    sha1: digestOf(values, 'sha1'),
    sha256: digestOf(values, 'sha256'),
  };
}

function parseMetadata(metadata: string): Map<string, Buffer> {
  const values = new Map<string, Buffer>();
  if (metadata === '') return values;
  for (const pair of metadata.split(',')) {
    const [key = '', value = '', ...rest] = pair.trim().split(' ');
    if (rest.length > 0 || !METADATA_KEY.test(key)) {
      throw invalidMetadata(
        'Upload-Metadata must be comma-separated pairs of an ASCII key, a space and a Base64 value.',
      );
    }
    const decoded = decodeBase64(value);
    if (!decoded) throw invalidMetadata(`Upload-Metadata: the value of ${key} is not valid Base64.`);
    if (values.has(key)) throw invalidMetadata(`Upload-Metadata: the key ${key} is there twice.`);
    values.set(key, decoded);
  }
  return values;
}

/** The value as text; bytes that are not UTF-8 become U+FFFD. */
function textOf(values: Map<string, Buffer>, key: string): string | undefined {
  return values.get(key)?.toString('utf8');
}

function digestOf(values: Map<string, Buffer>, key: 'md5' | 'sha1' | 'sha256'): string | null {
  const text = textOf(values, key);
  return isAbsent(text) ? null : checkDigest(text, key, key);
}

function invalidMetadata(message: string): Refusal {
  return refusal('invalid_metadata', { field: 'Upload-Metadata', message });
}
