/** A source that reads a pipe: its size is known only at its end, and one chunk is kept in memory to be sent again. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { CliError } from './errors.ts';
import type { Body } from './http.ts';
import type { UploadSource } from './tus-stack.ts';

export interface StreamSource extends UploadSource {
  /** Digests and size of all bytes. Call it only once the end was reached. */
  summary(): { md5: string; sha256: string; size: number };
}

/** @param chunkSizeBytes - how much is kept in memory, and so how much can be sent again. */
export function createStreamSource(stream: Readable, chunkSizeBytes: number): StreamSource {
  const md5 = createHash('md5');
  const sha256 = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkSizeBytes);
  let chunkStart = 0;
  let chunkLength = 0;
  /** Bytes that were read beyond the chunk. Reading beyond it shows whether the chunk is the last one. */
  let surplus: Buffer | null = null;
  let ended = false;
  const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;

  async function nextPiece(): Promise<Buffer | null> {
    if (surplus !== null) {
      const piece = surplus;
      surplus = null;
      return piece;
    }
    if (ended) return null;
    const { value, done } = await iterator.next();
    if (done === true) {
      ended = true;
      return null;
    }
    return value;
  }

  /** Fills the chunk, and reads until it knows whether more bytes follow. */
  async function fill(): Promise<void> {
    while (surplus === null || chunkLength < chunkSizeBytes) {
      const piece = await nextPiece();
      if (piece === null) return;
      const taken = Math.min(piece.length, chunkSizeBytes - chunkLength);
      piece.copy(chunk, chunkLength, 0, taken);
      md5.update(piece.subarray(0, taken));
      sha256.update(piece.subarray(0, taken));
      chunkLength += taken;
      if (taken < piece.length) surplus = piece.subarray(taken);
    }
  }

  async function slice(start: number, end: number): Promise<{ body: Body; last: boolean }> {
    if (start < chunkStart || start > chunkStart + chunkLength) {
      throw new CliError(
        'not_resumable',
        'the service lost bytes of a stream that are no longer in memory here; begin again',
      );
    }
    // The whole chunk has arrived, or there was none yet: read the next one.
    if (start === chunkStart + chunkLength && !(ended && surplus === null)) {
      chunkStart = start;
      chunkLength = 0;
      await fill();
    }
    const stop = Math.min(chunkLength, end - chunkStart);
    const bytes = chunk.subarray(start - chunkStart, stop);
    return { body: bodyOf(bytes), last: stop === chunkLength && ended && surplus === null };
  }

  function summary(): { md5: string; sha256: string; size: number } {
    const size = chunkStart + chunkLength;
    return { md5: md5.copy().digest('hex'), sha256: sha256.copy().digest('hex'), size };
  }

  return { size: null, slice, summary };
}

const PIECE_BYTES = 64 * 1024;

function bodyOf(bytes: Buffer): Body {
  return {
    size: bytes.length,
    async *chunks() {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
    },
  };
}
