/** Receives a whole file in one request, for forms that cannot be resumed: it is published, or nothing of it is kept. */
import type { Readable } from 'node:stream';
import { type BeginRequest, mostFileBytes, type Published } from './contract.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import type { AppendOptions } from './receive.ts';
import { refuseWithoutRoom } from './room.ts';
import type { Writer } from './writer.ts';

export interface WholeRequest extends Omit<BeginRequest, 'id'>, Pick<AppendOptions, 'checksum'> {
  /** The length of the body, where it is known: without room for it nothing is read. */
  bytes?: number | undefined;
}

/**
 * Receives and publishes a file whose length is known only at its end.
 *
 * @param beginWriting - begins an upload, and opens its writer.
 * @throws `incomplete_form` where the source ends early; as `append` and `publish`.
 */
export async function receiveWhole(
  parts: Parts,
  beginWriting: (request: BeginRequest) => Promise<Writer>,
  { checksum, bytes, ...request }: WholeRequest,
  source: Readable,
  signal: AbortSignal,
): Promise<Published> {
  const id = parts.surroundings.newId();
  if (bytes !== undefined) await refuseWithoutRoom(parts, request.owner, bytes);
  const writer = await beginWriting({ id, ...request });
  try {
    const received = await writer.append(source, {
      signal,
      checksum,
      maxBytes: mostFileBytes(parts.limits),
    });
    if (received.interrupted !== undefined) {
      throw new TidemarkError('incomplete_form', { cause: received.interrupted });
    }
    await writer.declareLength(received.offset);
    return await writer.finish();
  } catch (error) {
    try {
      await writer.end('form_failed');
    } catch (cause) {
      parts.log.warn({ uploadId: id, err: cause }, 'what arrived of a form stays until it expires');
    }
    throw error;
  } finally {
    await writer.release();
  }
}
