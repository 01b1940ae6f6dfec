/** The part that is being filled: its bytes in memory, and their own MD5. */
import type { DigestLane, DigestPool } from '../digests/digests.ts';
import type { Room } from './buffers.ts';
import type { PartPlace } from './part-sizes.ts';

/** Smaller chunks are copied together: each one has costs of its own. */
const SMALL_BYTES = 16 * 1024;
const BLOCK_BYTES = 64 * 1024;

export interface OpenPart extends PartPlace {
  readonly room: Room;
  /** Bytes so far. */
  readonly length: number;
  readonly chunks: readonly Uint8Array[];
  /** Adds bytes; resolves when there is room for more in the digest. */
  add(chunks: readonly Uint8Array[]): Promise<void>;
  /** Of all bytes so far, hex. */
  md5(): Promise<string>;
  /** Forgets bytes and digest. */
  drop(): void;
}

/**
 * @param whole - the digest of the whole upload where it begins with this part: then
 *   it is the part's own, too, and the bytes are not hashed twice.
 */
export function openPart(place: PartPlace, room: Room, digests: DigestPool, whole: DigestLane | null): OpenPart {
  const own = whole ? null : digests.open(null, ['md5']);
  const lane = whole ?? own;
  let chunks: Uint8Array[] = [];
  let length = 0;
  let block = new Uint8Array(0);
  let blockUsed = 0;
  /** Whether the last chunk is the end of the block's used part. */
  let growing = false;

  function keep(chunk: Uint8Array): void {
    length += chunk.length;
    if (chunk.length > SMALL_BYTES) {
      chunks.push(chunk);
      growing = false;
      return;
    }
    if (block.length - blockUsed < chunk.length) {
      block = new Uint8Array(BLOCK_BYTES);
      blockUsed = 0;
      growing = false;
    }
    block.set(chunk, blockUsed);
    const from = blockUsed - (growing ? (chunks.pop()?.length ?? 0) : 0);
    blockUsed += chunk.length;
    chunks.push(block.subarray(from, blockUsed));
    growing = true;
  }

  return {
    ...place,
    room,
    get length() {
      return length;
    },
    get chunks() {
      return chunks;
    },
    add: async (added) => {
      for (const chunk of added) keep(chunk);
      await own?.update(added);
    },
    md5: async () => {
      const md5 = (await lane?.digests())?.md5;
      if (md5 === undefined) throw new Error('no MD5 was computed');
      return md5;
    },
    drop: () => {
      chunks = [];
      block = new Uint8Array(0);
      own?.close();
      room.release();
    },
  };
}
