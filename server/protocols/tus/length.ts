/** The length that a tus client is told. */
import type { UploadView } from '../../uploads/contract.ts';

/**
 * The length of an upload; null while it is deferred. One that another protocol began is still deferred once it has all its
 * bytes and is not complete: an empty PATCH that declares the length completes it.
 */
export function lengthOf({ size, expectedSize, offset }: UploadView): number | null {
  return size ?? (expectedSize === offset ? null : expectedSize);
}
