/** Reads all bytes of a content, and compares them with what the catalog knows. */
import type { Readable } from 'node:stream';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { type ContentReader, StoreError } from '../../stores/store.ts';

/** What the catalog knows about bytes. */
export interface Expected {
  md5: string;
  size: number;
}

/** Bytes that are missing, or do not match the catalog. A retry would find the same. */
export class DamagedError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'DamagedError';
  }
}

/**
 * Opens a content from an offset on.
 *
 * @throws DamagedError where it is missing, or has another size.
 */
export async function openExpected(
  reader: ContentReader,
  key: string,
  { size }: Expected,
  { offset, signal }: { offset: number; signal: AbortSignal },
): Promise<Readable> {
  const range = offset === 0 ? undefined : { start: offset, end: size - 1 };
  try {
    return await reader.readContent(key, range, signal, size);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'missing')) throw error;
    throw new DamagedError('its bytes are gone, or are fewer or more than they were', error);
  }
}

/** Reads a content. @throws DamagedError where its MD5 or size differs. */
export async function verifyContent(
  reader: ContentReader,
  key: string,
  expected: Expected,
  { digests, signal, onBytes }: { digests: DigestPool; signal: AbortSignal; onBytes?: (bytes: number) => void },
): Promise<void> {
  const bytes = await openExpected(reader, key, expected, { offset: 0, signal });
  const lane = digests.open(null);
  try {
    let size = 0;
    for await (const chunk of bytes as AsyncIterable<Uint8Array>) {
      signal.throwIfAborted();
      await lane.update([chunk]);
      size += chunk.length;
      onBytes?.(chunk.length);
    }
    const { md5 } = await lane.digests();
    if (size !== expected.size) throw new DamagedError(`it has ${size} bytes instead of ${expected.size}`);
    if (md5 !== expected.md5) throw new DamagedError(`its bytes have the MD5 ${md5}`);
  } catch (error) {
    throw asDamage(error);
  } finally {
    bytes.destroy();
    lane.close();
  }
}

/** Turns EIO into DamagedError, as a sector that cannot be read stays unreadable; returns other errors unchanged. */
export function asDamage(error: unknown): unknown {
  const isUnreadable = error instanceof Error && 'code' in error && error.code === 'EIO';
  return isUnreadable ? new DamagedError('its disk cannot read it (EIO)', error) : error;
}
