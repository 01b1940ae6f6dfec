/** The part that is being filled: its bytes in memory, and its MD5. */
import type { DigestLane } from '../digests/digests.ts';
import type { Room } from './buffers.ts';
import type { PartPlace } from './part-sizes.ts';

export interface OpenPart extends PartPlace {
  readonly room: Room;
  /** Bytes so far. */
  readonly bytes: Uint8Array;
  /** Adds bytes that the upload had before: they are in its digest already. */
  addAgain(chunks: readonly Uint8Array[]): Promise<void>;
  /** Adds bytes to part and upload; resolves when there is room for more in the digest. */
  add(chunks: readonly Uint8Array[]): Promise<void>;
  /** Of all bytes so far, hex. */
  md5(): Promise<string>;
}

/**
 * @param room - for as many bytes as the place has.
 * @param lane - of the whole upload. At the beginning its digest is the part's own.
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
