/** A digest that a thread computes. It gets the bytes in blocks of shared memory. */
import { bytesIn } from '../chunks.ts';
import type { Blocks } from './blocks.ts';
import type { DigestLane, KeptBytes } from './digests.ts';
import type { DigestStart } from './hashing.ts';
import type { Target } from './held.ts';
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

  /**
   * Copies the chunks to blocks.
   *
   * @param onCopy - called with each copy. Where it returns false, nobody waits for another block: the rest is not taken.
   */
  async function add(
    chunks: readonly Uint8Array[],
    to: Target,
    onCopy: (copy: Uint8Array) => boolean = () => true,
  ): Promise<void> {
    let waits = true;
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        const copy = thread.append(lane, to, chunk, at);
        if (copy) {
          at += copy.length;
          waits = onCopy(copy);
          continue;
        }
        const block = inFlight < BLOCKS_PER_LANE ? blocks.tryTake() : undefined;
        if (block === undefined && !waits) return thread.sendIfDue();
        thread.addBlock(lane, to, block ?? (await waitForBlock()));
        inFlight++;
      }
    }
    thread.sendIfDue();
  }

  async function keep(chunks: readonly Uint8Array[]): Promise<KeptBytes> {
    const bytes: Uint8Array[] = [];
    const release = (): void => bytes.forEach((copy) => blocks.unpin(copy));
    try {
      await add(chunks, 'all', (copy) => {
        blocks.pin(copy);
        bytes.push(copy);
        // With some bytes kept, no other block is waited for: those who keep the others may be waiting, too.
        return false;
      });
    } catch (error) {
      release();
      throw error;
    }
    return { bytes, length: bytesIn(bytes), areCopies: true, release };
  }

  async function waitForBlock(): Promise<number> {
    thread.sendNow();
    while (inFlight >= BLOCKS_PER_LANE && !thread.failure) {
      await new Promise<void>((resolve) => (room = resolve));
    }
    return blocks.take();
  }

  return {
    update: (chunks) => add(chunks, 'all'),
    keep,
    beginPart: () => thread.send({ op: 'beginPart', lane }),
    updatePart: (chunks) => add(chunks, 'part'),
    partMd5: async () => (await thread.ask('partMd5', lane)).md5,
    snapshot: async () => (await thread.ask('snapshot', lane)).snapshot,
    digests: async () => (await thread.ask('digests', lane)).digests,
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      thread.leave(lane);
    },
  };
}
