/** The checksum of a request's body: tus 1.0.0, "Checksum", in a header or in a trailer (RFC 9112, section 7.1.2). */
import type { IncomingMessage } from 'node:http';
import { CHECKSUM_BYTES, type ChecksumAlgorithm, type ExpectedChecksum, verifyAll } from '../../uploads/checksums.ts';
import { decodeBase64 } from '../base64.ts';
import { invalidHeader } from './refusals.ts';

const FIELD = 'Upload-Checksum';
/** "The Server MUST support at least the SHA1 checksum algorithm". */
const ALGORITHMS = ['sha1', 'md5', 'sha256', 'crc32c'] as const satisfies readonly ChecksumAlgorithm[];

/** The value of `Tus-Checksum-Algorithm`. */
export const CHECKSUM_ALGORITHMS = ALGORITHMS.join(',');
/** The extensions that this file implements. */
export const CHECKSUM_EXTENSIONS = ['checksum', 'checksum-trailer'];

interface Checksum {
  algorithm: ChecksumAlgorithm;
  digest: Buffer;
}

/** What a request says about its body's checksum. */
export interface BodyChecksum {
  /** The checksums to be computed; none where the request has none. */
  readonly expected: readonly ExpectedChecksum[];
  /**
   * Aborted with a refusal where a trailer comes that was not announced. Bytes of such a request may have been committed before
   * that is known; but the last ones before the upload's length are not.
   */
  readonly refused: AbortSignal;
  /** Verifies a body without bytes, once it has ended. @throws `invalid_field`, `checksum_mismatch`. */
  verifyNothing(): Promise<void>;
}

/**
 * Reads the checksum of a request's body. To be called before anything else listens to the request.
 *
 * @throws `invalid_field` for a checksum that is malformed or of an unknown algorithm, or a trailer that cannot come.
 */
export function readChecksum(request: IncomingMessage): BodyChecksum {
  const { headers } = request;
  const header = headers['upload-checksum'];
  const given = header === undefined ? undefined : parse(header);
  const isAnnounced = listsField(headers.trailer);
  if (isAnnounced && headers['transfer-encoding'] === undefined) {
    throw invalidHeader('Trailer', `A trailer ${FIELD} needs a chunked body: Transfer-Encoding: chunked.`);
  }
  const expected = isAnnounced ? inTrailer(request, given) : given ? [inHeader(given)] : [];
  const refused = new AbortController();
  // Before the store's own listener, so that a body whose trailer is refused ends as one that broke off.
  if (!isAnnounced) request.once('end', () => refuseUnannounced(request, refused));
  return {
    expected,
    refused: refused.signal,
    verifyNothing: async () => {
      if (!isAnnounced) refuseUnannounced(request, refused);
      refused.signal.throwIfAborted();
      (await verifyAll(expected))?.verify();
    },
  };
}

function inHeader({ algorithm, digest }: Checksum): ExpectedChecksum {
  return { algorithm, expected: digest };
}

/** Which algorithm a trailer has is known at its end alone: so all are computed, unless a header names it. */
function inTrailer(request: IncomingMessage, given: Checksum | undefined): ExpectedChecksum[] {
  function read(): Checksum {
    const trailer = request.trailers['upload-checksum'];
    if (trailer === undefined) throw invalidHeader(FIELD, `The trailer ${FIELD} was announced and did not come.`);
    const told = parse(trailer);
    if (given && !(given.algorithm === told.algorithm && given.digest.equals(told.digest))) {
      throw invalidHeader(FIELD, `${FIELD} in the trailer differs from the one in the header; send one of them.`);
    }
    return told;
  }
  return (given ? [given.algorithm] : ALGORITHMS).map((algorithm) => ({
    algorithm,
    expected: () => {
      const told = read();
      return told.algorithm === algorithm ? told.digest : null;
    },
  }));
}

function refuseUnannounced(request: IncomingMessage, refused: AbortController): void {
  if (request.trailers['upload-checksum'] === undefined) return;
  refused.abort(invalidHeader(FIELD, `A trailer ${FIELD} has to be announced: Trailer: ${FIELD}.`));
}

/** Whether a `Trailer` header announces the field. */
function listsField(trailer: string | undefined): boolean {
  const names = trailer?.split(',') ?? [];
  return names.some((name) => name.trim().toLowerCase() === FIELD.toLowerCase());
}

/** Reads "the name of the used checksum algorithm and the Base64 encoded checksum separated by a space". */
function parse(value: string | string[]): Checksum {
  const [name = '', text = '', ...rest] = typeof value === 'string' ? value.split(' ') : [];
  const algorithm = ALGORITHMS.find((known) => known === name);
  if (!algorithm) {
    throw invalidHeader(FIELD, `${FIELD} must begin with one of the algorithms ${ALGORITHMS.join(', ')}.`);
  }
  const digest = decodeBase64(text);
  const length = CHECKSUM_BYTES[algorithm];
  if (rest.length > 0 || digest?.length !== length) {
    throw invalidHeader(FIELD, `${FIELD} must be ${algorithm}, a space, and ${length} bytes in Base64.`);
  }
  return { algorithm, digest };
}
