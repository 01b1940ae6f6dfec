/** A digest that a thread computes. It gets the bytes in blocks of shared memory. */
import type { Blocks } from './blocks.ts';
import type { DigestLane } from './digests.ts';
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

  async function update(chunks: readonly Uint8Array[], to: Target): Promise<void> {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        const appended = thread.append(lane, to, chunk, at);
        at += appended;
        if (appended > 0) continue;
        const block = inFlight < BLOCKS_PER_LANE ? blocks.tryTake() : undefined;
        thread.addBlock(lane, to, block ?? (await waitForBlock()));
        inFlight++;
      }
    }
    thread.sendIfDue();
  }

  async function waitForBlock(): Promise<number> {
    thread.sendNow();
    while (inFlight >= BLOCKS_PER_LANE && !thread.failure) {
      await new Promise<void>((resolve) => (room = resolve));
    }
    return blocks.take();
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
    },
  };
}
