/** Which protocol a request speaks: both have the same addresses, and each marks its requests. */
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../refusal.ts';

/** The protocols, and none of them. */
export type Spoken = 'tus' | 'rufh' | null;

/** Any of these fields marks "Resumable Uploads for HTTP". */
const MARKS_OF_RUFH = ['upload-complete', 'upload-incomplete', 'upload-draft-interop-version'];
const PARTIAL_TYPE = /^application\/partial-upload *(?:;|$)/i;

/**
 * Finds the protocol of a request by its headers. A request that has the marks of both means nothing: in one of them it
 * may complete a file that is not complete in the other.
 *
 * @throws Refusal `invalid_request`, with both.
 */
export function protocolOf(headers: IncomingHttpHeaders): Spoken {
  const isRufh =
    MARKS_OF_RUFH.some((name) => headers[name] !== undefined) || PARTIAL_TYPE.test(headers['content-type'] ?? '');
  const isTus = headers['tus-resumable'] !== undefined;
  if (isRufh && isTus) {
    throw new Refusal('invalid_request', 400, {
      field: 'Tus-Resumable',
      message: 'A request speaks either tus (Tus-Resumable) or Resumable Uploads for HTTP (Upload-Complete), not both.',
    });
  }
  if (isRufh) return 'rufh';
  return isTus ? 'tus' : null;
}
