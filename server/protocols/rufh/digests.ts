/** Digest Fields (RFC 9530): what a client says of its bytes, and what it wants to be told. */
import type { IncomingHttpHeaders } from 'node:http';
import { serializeDictionary } from 'structured-headers';
import type { Refusal } from '../../refusal.ts';
import { CHECKSUM_BYTES, type ChecksumAlgorithm, type ExpectedChecksum } from '../../uploads/checksums.ts';
import type { ContentView } from '../../uploads/contract.ts';
import { dictionaryField } from './fields.ts';
import { invalidHeader } from './refusals.ts';

type Algorithm = 'md5' | 'sha1' | 'sha256';

/** IANA: "Hash Algorithms for HTTP Digest Fields". */
const ALGORITHMS: ReadonlyMap<string, { ours: Algorithm; bytes: number }> = new Map([
  ['md5', { ours: 'md5', bytes: 16 }],
  ['sha', { ours: 'sha1', bytes: 20 }],
  ['sha-256', { ours: 'sha256', bytes: 32 }],
]);

/** IANA: the same registry. What the service can compute of a request's content. */
const OF_CONTENT: ReadonlyMap<string, ChecksumAlgorithm> = new Map([
  ['md5', 'md5'],
  ['sha', 'sha1'],
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
  ['crc32c', 'crc32c'],
]);

/** Digests of the whole file in hexadecimal digits; null where the client declares none. */
export type DeclaredDigests = Record<Algorithm, string | null>;

/**
 * Reads Repr-Digest. One that the service cannot check is refused, not ignored: its sender relies on it.
 *
 * @param computed - the digests that the service computes of each file.
 * @throws `invalid_field`.
 */
export function readReprDigest(headers: IncomingHttpHeaders, computed: readonly string[]): DeclaredDigests {
  refuseTrailer(headers, 'Repr-Digest');
  const declared: DeclaredDigests = { md5: null, sha1: null, sha256: null };
  const given = dictionaryField(headers, 'Repr-Digest');
  if (given === undefined) return declared;
  if (given === null) throw notADictionary('Repr-Digest');
  const checkable = [...ALGORITHMS].filter(([, { ours }]) => computed.includes(ours)).map(([name]) => name);
  for (const [name, value] of given) {
    const algorithm = checkable.includes(name) ? ALGORITHMS.get(name) : undefined;
    if (!algorithm) throw notChecked('Repr-Digest', name, checkable);
    declared[algorithm.ours] = digestOf('Repr-Digest', name, value, algorithm.bytes).toString('hex');
  }
  return declared;
}

/**
 * Reads Content-Digest: of this request's content, which then counts as a whole or not at all.
 *
 * @throws `invalid_field`.
 */
export function readContentDigest(headers: IncomingHttpHeaders): ExpectedChecksum[] {
  refuseTrailer(headers, 'Content-Digest');
  const given = dictionaryField(headers, 'Content-Digest');
  if (given === undefined) return [];
  if (given === null) throw notADictionary('Content-Digest');
  return Array.from(given, ([name, value]) => {
    const algorithm = OF_CONTENT.get(name);
    if (!algorithm) throw notChecked('Content-Digest', name, [...OF_CONTENT.keys()]);
    return { algorithm, expected: digestOf('Content-Digest', name, value, CHECKSUM_BYTES[algorithm]) };
  });
}

function digestOf(field: string, name: string, value: unknown, length: number): Buffer {
  if (!(value instanceof ArrayBuffer) || value.byteLength !== length) {
    throw invalidHeader(field, `${field}: ${name} must be ${length} bytes in Base64 between colons.`);
  }
  return Buffer.from(value);
}

function notADictionary(field: string): Refusal {
  return invalidHeader(field, `${field} must be a dictionary of digests: sha-256=:<Base64>:.`);
}

function notChecked(field: string, name: string, checked: readonly string[]): Refusal {
  return invalidHeader(field, `${field}: this service does not check ${name}; it checks ${checked.join(', ')}.`, {
    [`Want-${field}`]: checked.map((known) => `${known}=10`).join(', '),
  });
}

/** A digest that comes behind the content would be compared by nobody. @throws `invalid_field`. */
function refuseTrailer({ trailer }: IncomingHttpHeaders, field: string): void {
  const announced = (trailer ?? '').split(',').map((name) => name.trim().toLowerCase());
  if (!announced.includes(field.toLowerCase())) return;
  throw invalidHeader('Trailer', `${field} must be among the headers of the request, not in its trailer.`);
}

/**
 * The Repr-Digest that the client asked for by Want-Repr-Digest: of those that it accepts, the ones it likes best and that
 * are known.
 */
export function writeReprDigest(headers: IncomingHttpHeaders, content: ContentView): string | undefined {
  const wanted = [...(dictionaryField(headers, 'Want-Repr-Digest') ?? [])]
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] > 0)
    .toSorted(([, a], [, b]) => b - a);
  for (const [name] of wanted) {
    const algorithm = ALGORITHMS.get(name);
    const digest = algorithm && content[algorithm.ours];
    if (digest) return serializeDictionary({ [name]: [Uint8Array.from(Buffer.from(digest, 'hex')).buffer, new Map()] });
  }
  return undefined;
}
