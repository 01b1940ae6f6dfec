/** Receives the content of a request, and completes the upload where the request says so. */
import { type FileView, mostFileBytes } from '../../uploads/contract.ts';
import { hasCode } from '../../uploads/errors.ts';
import type { Writer } from '../../uploads/writer.ts';
import { refusal } from './refusals.ts';
import { type Bringing, informOf, type RufhContext, type RufhParts, setState } from './requests.ts';

/** How often a running request is told its offset. */
const PROGRESS_EVERY_MS = 1_000;

/** Where a request's content goes. */
export interface Receiving {
  readonly writer: Writer;
  /** Where the content begins. */
  readonly offset: number;
  /** Of the whole upload; null while it is not known. */
  readonly length: number | null;
  /** The length that is declared in the upload's row: its last byte completes it. */
  readonly declared: number | null;
  /** Called when the content is being read. */
  readonly onReading?: () => void;
}

export interface ReceivedContent {
  readonly offset: number;
  /** The published file; null where the upload is not complete. */
  readonly file: FileView | null;
  readonly expiresAt: number;
}

/**
 * Receives the content.
 *
 * @throws `inconsistent_upload_length` where the content ends before or after the announced length; after it, the upload is
 *   rejected. As `append` and `finish` of the writer.
 */
export async function receive(
  ctx: RufhContext,
  parts: RufhParts,
  bringing: Bringing,
  receiving: Receiving,
): Promise<ReceivedContent> {
  const { writer, offset, length, declared, onReading } = receiving;
  const { isComplete, dialect, checksums } = bringing;
  // Declared with the last request only: before, the last byte must not complete the upload.
  const declares = isComplete && declared === null && length !== null;
  const most = length ?? mostFileBytes(parts.limits);
  try {
    const received = await writer.append(ctx.req, {
      maxBytes: Math.max(0, most - offset),
      ...(declares ? { length } : {}),
      checksum: checksums,
      ...(onReading ? { onReading } : {}),
      onCommit: tellProgress(ctx, parts, dialect, writer),
    });
    const isOver = received.interrupted === undefined;
    if (received.file || !isComplete || !isOver) return { ...received, file: received.file };
    if (length !== null && received.offset < length) {
      throw refusal('inconsistent_upload_length', {
        message: `The upload ends at byte ${received.offset}, and its announced length is ${length}.`,
        headers: { 'Upload-Offset': String(received.offset) },
      });
    }
    await writer.declareLength(received.offset);
    const { file } = await writer.finish();
    return { ...received, file };
  } catch (error) {
    if (hasCode(error, 'checksum_mismatch')) setState(ctx, dialect, { offset, isComplete: false });
    if (length === null || !hasCode(error, 'too_large')) throw error;
    await writer.reject('too_large');
    throw refusal('inconsistent_upload_length', {
      message: `The content goes on after the announced length of ${length} bytes; the upload was rejected.`,
      cause: error,
    });
  }
}

/** Tells the client now and then which of its bytes it need not send again. */
function tellProgress(
  ctx: RufhContext,
  parts: RufhParts,
  dialect: Bringing['dialect'],
  writer: Writer,
): (offset: number) => void {
  let toldAt = parts.elapsedMs();
  return (offset) => {
    const now = parts.elapsedMs();
    if (now - toldAt < PROGRESS_EVERY_MS) return;
    toldAt = now;
    writer.durable().then(
      () => informOf(ctx, dialect, { 'Upload-Offset': String(offset) }),
      // The append fails for the same reason, and tells it.
      () => undefined,
    );
  };
}
