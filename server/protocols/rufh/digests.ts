/** Digest Fields (RFC 9530): what a client says of its bytes, and what it wants to be told. */
import type { IncomingHttpHeaders } from 'node:http';
import { serializeDictionary } from 'structured-headers';
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

/** Digests of the whole file in hexadecimal digits; null where the client declares none. */
export type DeclaredDigests = Record<Algorithm, string | null>;

/**
 * Reads Repr-Digest. One that the service cannot check is refused, not ignored: its sender relies on it.
 *
 * @param computed - the digests that the service computes of each file.
 * @throws `invalid_field`.
 */
export function readReprDigest(headers: IncomingHttpHeaders, computed: readonly string[]): DeclaredDigests {
  const declared: DeclaredDigests = { md5: null, sha1: null, sha256: null };
  const given = dictionaryField(headers, 'Repr-Digest');
  if (given === undefined) return declared;
  if (given === null)
    throw invalidHeader('Repr-Digest', 'Repr-Digest must be a dictionary of digests: md5=:<Base64>:.');
  const checkable = [...ALGORITHMS].filter(([, { ours }]) => computed.includes(ours)).map(([name]) => name);
  for (const [name, value] of given) {
    const algorithm = checkable.includes(name) ? ALGORITHMS.get(name) : undefined;
    if (!algorithm) {
      const wanted = checkable.map((known) => `${known}=10`).join(', ');
      const message = `Repr-Digest: this service does not check ${name}; it checks ${checkable.join(', ')}.`;
      throw invalidHeader('Repr-Digest', message, { 'Want-Repr-Digest': wanted });
    }
    declared[algorithm.ours] = digestOf(name, value, algorithm.bytes);
  }
  return declared;
}

function digestOf(name: string, value: unknown, length: number): string {
  if (!(value instanceof ArrayBuffer) || value.byteLength !== length) {
    throw invalidHeader('Repr-Digest', `Repr-Digest: ${name} must be ${length} bytes in Base64 between colons.`);
  }
  return Buffer.from(value).toString('hex');
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
