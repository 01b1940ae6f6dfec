/** The part that is being filled: its bytes in memory, and its MD5. */
import type { DigestLane } from '../digests/digests.ts';
import type { Room } from './buffers.ts';
import type { PartPlace } from './part-sizes.ts';

/** The open part. */
export interface OpenPart extends PartPlace {
  readonly room: Room;
  /** The bytes so far. */
  readonly bytes: Uint8Array;
  /** Adds bytes that were committed before, and are in the upload's digest already. */
  addAgain(chunks: readonly Uint8Array[]): Promise<void>;
  /** Adds new bytes; resolves when the digest can take more. */
  add(chunks: readonly Uint8Array[]): Promise<void>;
  /** The MD5 of the bytes so far, in hex. */
  md5(): Promise<string>;
}

/**
 * Opens a part.
 *
 * @param room - memory for the whole part.
 * @param lane - the upload's digest. For the first part, it is the part's digest, too.
 */
export function openPart(place: PartPlace, room: Room, lane: DigestLane): OpenPart {
  const isFirst = place.start === 0;
  if (!isFirst) lane.beginPart();
  let length = 0;

  function keep(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      room.bytes.set(chunk, length);
      length += chunk.length;
    }
  }

  return {
    ...place,
    room,
    get bytes() {
      return room.bytes.subarray(0, length);
    },
    addAgain: async (chunks) => {
      keep(chunks);
      if (!isFirst) await lane.updatePart(chunks);
    },
    add: async (chunks) => {
      keep(chunks);
      await lane.update(chunks);
    },
    md5: async () => {
      const md5 = isFirst ? (await lane.digests()).md5 : await lane.partMd5();
      if (md5 === undefined) throw new Error('no MD5 was computed');
      return md5;
    },
  };
}
