/** The part that is being filled: its bytes in memory, and its MD5. */
import type { DigestLane } from '../digests/digests.ts';
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
  /** Adds bytes that the upload had before: they are in its digest already. */
  addAgain(chunks: readonly Uint8Array[]): Promise<void>;
  /** Adds bytes to part and upload; resolves when there is room for more in the digest. */
  add(chunks: readonly Uint8Array[]): Promise<void>;
  /** Of all bytes so far, hex. */
  md5(): Promise<string>;
  /** Forgets the bytes. */
  drop(): void;
}

/** @param lane - of the whole upload. At the beginning its digest is the part's own. */
export function openPart(place: PartPlace, room: Room, lane: DigestLane): OpenPart {
  const isFirst = place.start === 0;
  if (!isFirst) lane.beginPart();
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
    addAgain: async (added) => {
      for (const chunk of added) keep(chunk);
      if (!isFirst) await lane.updatePart(added);
    },
    add: async (added) => {
      for (const chunk of added) keep(chunk);
      await lane.update(added);
    },
    md5: async () => {
      const md5 = isFirst ? (await lane.digests()).md5 : await lane.partMd5();
      if (md5 === undefined) throw new Error('no MD5 was computed');
      return md5;
    },
    drop: () => {
      chunks = [];
      block = new Uint8Array(0);
      room.release();
    },
  };
}
