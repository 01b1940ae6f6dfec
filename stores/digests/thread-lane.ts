/** A digest that a thread computes. It gets the bytes in blocks of shared memory. */
import type { Blocks } from './blocks.ts';
import type { DigestLane } from './digests.ts';
import type { DigestStart } from './hashing.ts';
import { BLOCK_BYTES, type Piece } from './messages.ts';
import type { Thread } from './thread.ts';

/** The most blocks that a lane may have in flight, so that a fast upload leaves some for the others. */
const BLOCKS_PER_LANE = 12;

/** Opens a lane on a thread. */
export function openThreadLane(thread: Thread, blocks: Blocks, start: DigestStart): DigestLane {
  let inFlight = 0;
  let isOpen = true;
  let room: (() => void) | undefined;
  const lane = thread.enter((freed) => {
    inFlight -= freed;
    room?.();
  });
  thread.send({ op: 'open', lane, ...start });

  async function update(chunks: readonly Uint8Array[], to: 'all' | 'part'): Promise<void> {
    // One message for as many blocks as possible, as each message wakes the thread.
    let pieces: Piece[] = [];
    let piece: Piece | undefined;
    for (const chunk of chunks) {
      let at = 0;
      while (at < chunk.length) {
        if (!piece || piece.length === BLOCK_BYTES) {
          let block = inFlight + pieces.length < BLOCKS_PER_LANE ? blocks.tryTake() : undefined;
          if (block === undefined) {
            send(pieces, to);
            pieces = [];
            block = await waitForBlock();
          }
          piece = { block, length: 0 };
          pieces.push(piece);
        }
        at += blocks.append(piece, chunk, at);
      }
    }
    send(pieces, to);
  }

  async function waitForBlock(): Promise<number> {
    while (inFlight >= BLOCKS_PER_LANE && !thread.failure) {
      await new Promise<void>((resolve) => (room = resolve));
    }
    return blocks.take();
  }

  function send(pieces: Piece[], to: 'all' | 'part'): void {
    if (pieces.length === 0) return;
    thread.hand({ op: 'update', lane, pieces, to });
    inFlight += pieces.length;
  }

  return {
    update: (chunks) => update(chunks, 'all'),
    beginPart: () => thread.send({ op: 'beginPart', lane }),
    updatePart: (chunks) => update(chunks, 'part'),
    partMd5: async () => (await thread.ask('partMd5', lane)).md5,
    snapshot: async () => (await thread.ask('snapshot', lane)).snapshot,
    digests: async () => (await thread.ask('digests', lane)).digests,
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      thread.leave(lane);
      if (!thread.failure) thread.send({ op: 'close', lane });
    },
  };
}
