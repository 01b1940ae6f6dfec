/** Refusals that apply to all calls. */
import type { OssCall } from './call.ts';
import { OssError } from './errors.ts';
import { UNSIGNED_PAYLOAD } from './sigv4.ts';

// OSS: a key has 1 to 1023 bytes.
const LONGEST_KEY_BYTES = 1023;

/** Headers of a copy; its conditions are not supported. */
const OF_COPIES = /^x-amz-copy-source(?:-range)?$/;
/** Headers that the double supports, or that OSS ignores. Any other could change the meaning of the call. */
const KNOWN_HEADERS =
  /^x-amz-(?:date|content-sha256|security-token|user-agent|meta-.+|checksum-.+|sdk-checksum-algorithm|mp-object-size|expected-bucket-owner)$/;

/** OSS closes the connection on a metadata key with an underscore. */
export function hasForbiddenMetadata(names: Iterable<string>): boolean {
  return [...names].some((name) => /^x-amz-meta-.*_/.test(name));
}

export function refuseUnsupported(call: OssCall): void {
  const { headersDistinct: headers } = call.request;
  const isChunked =
    call.payloadHash.startsWith('STREAMING-') ||
    headers['x-amz-trailer'] !== undefined ||
    headers['x-amz-decoded-content-length'] !== undefined ||
    /\baws-chunked\b/.test(headers['content-encoding']?.join() ?? '');
  if (isChunked) throw new OssError(call.settings.chunkedBodies, 'aws-chunked encoding is not supported.');
  if (call.payloadHash !== UNSIGNED_PAYLOAD && !/^[\da-f]{64}$/.test(call.payloadHash)) {
    throw new OssError('InvalidArgument', 'x-amz-content-sha256 is neither a digest nor UNSIGNED-PAYLOAD.');
  }
  for (const name of Object.keys(headers)) {
    const isKnown = KNOWN_HEADERS.test(name) || (call.operation === 'UploadPartCopy' && OF_COPIES.test(name));
    if (name.startsWith('x-amz-') && !isKnown) {
      throw new OssError(
        'NotImplemented',
        `A header you provided implies functionality that is not implemented: ${name}`,
      );
    }
  }
  if (/^[/\\]/.test(call.key) || Buffer.byteLength(call.key) > LONGEST_KEY_BYTES)
    throw new OssError('InvalidObjectName');
}
