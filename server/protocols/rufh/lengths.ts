/** The length of an upload, as its requests tell it: all that tell one have to agree ("Upload Creation", "Upload Append"). */
import { refusal } from './refusals.ts';

/** What is said about the length of an upload when a request arrives. */
export interface LengthFacts {
  /** What earlier requests said. */
  known: number | null;
  /** Where the request's content begins. */
  offset: number;
  contentLength: number | undefined;
  /** The request completes the upload. */
  isComplete: boolean;
  /** Of its Upload-Length. */
  uploadLength: number | undefined;
}

/**
 * Finds the length of the whole upload.
 *
 * @returns null where it is not known yet.
 * @throws `inconsistent_upload_length`.
 */
export function resolveLength({ known, offset, contentLength, isComplete, uploadLength }: LengthFacts): number | null {
  const end = contentLength === undefined ? undefined : offset + contentLength;
  const told = [known ?? undefined, uploadLength, isComplete ? end : undefined].filter(
    (length) => length !== undefined,
  );
  const [length] = told;
  if (length === undefined) return null;
  if (told.some((other) => other !== length)) {
    throw refusal('inconsistent_upload_length', {
      message: `The lengths that are announced for this upload differ: ${told.join(', ')} bytes.`,
    });
  }
  if (Math.max(offset, end ?? 0) > length) {
    throw refusal('inconsistent_upload_length', {
      message: `The content ends at byte ${Math.max(offset, end ?? 0)}, and the upload has a length of ${length} bytes.`,
    });
  }
  return length;
}
