/** Parts of bytes that an object in the bucket has already: the bucket copies them, and the service sends none of them. */
import { type ByteRange, StoreError } from '../store.ts';
import { isPassing } from './errors.ts';
import { bare } from './multiparts.ts';
import type { Objects } from './objects.ts';
import type { PartPlace } from './part-sizes.ts';

/** A range of an object whose bytes never change. */
export interface CopySource {
  key: string;
  range: ByteRange;
}

/** Where the bytes of a part lie in the bucket; undefined where no single object has them. */
export type Locate = (part: PartPlace) => CopySource | undefined;

/** The part of a multipart upload that is to be copied. */
export interface CopiedPart {
  key: string;
  multipart: string;
  /** The MD5 of the bytes that were read and hashed. */
  md5: string;
  signal: AbortSignal;
}

/** Has the bucket copy a part. @returns its ETag; undefined: the part's bytes have to be sent. */
export type Copy = (part: PartPlace, into: CopiedPart) => Promise<string | undefined>;

/**
 * Makes the copying of one request. A copy counts only if its ETag is the MD5 of the bytes that were hashed. So a bucket whose
 * ETags are no MD5s, because it encrypts, copies nothing; nor does one that has refused once.
 *
 * @param partBytes - `S3_PART_BYTES`: smaller parts are sent.
 */
export function createCopy(objects: Objects, partBytes: number, locate: Locate): Copy {
  let isUsable = true;

  return async (part, { key, multipart, md5, signal }) => {
    // S3 copies ranges of objects above 5 MiB alone. A shorter part is the last one: it costs about as much as a call.
    const source = isUsable && part.end - part.start >= partBytes ? locate(part) : undefined;
    if (!source) return undefined;
    try {
      const etag = await objects.copyPart(key, multipart, part.number, source, signal);
      if (bare(etag) === md5) return etag;
      isUsable = false;
    } catch (error) {
      if (signal.aborted) throw error;
      if (!isPassing(error instanceof StoreError ? error.cause : error)) isUsable = false;
    }
    return undefined;
  };
}
