/** A digest that a thread computes, of bytes that are handed to it in blocks of shared memory. */
import type { Blocks } from './blocks.ts';
import { type DigestLane, SnapshotError } from './digests.ts';
import type { DigestStart } from './hashing.ts';
import { BLOCK_BYTES, type Piece, type Reply } from './messages.ts';
import type { Threads } from './threads.ts';

/** Blocks one lane may have in flight, so that a fast upload leaves some to the others. */
const BLOCKS_PER_LANE = 12;

let lastRequest = 0;

export function openThreadLane(threads: Threads, blocks: Blocks, start: DigestStart): DigestLane {
  let inFlight = 0;
  let isOpen = true;
  let room: (() => void) | undefined;
  const { thread, lane } = threads.enter((freed) => {
    inFlight -= freed;
    room?.();
  });
  threads.send(thread, { op: 'open', lane, ...start });

  function ask<Op extends 'snapshot' | 'digests' | 'partMd5'>(op: Op): Promise<Extract<Reply, { op: Op }>> {
    const request = ++lastRequest;
    return new Promise((resolve, reject) => {
      thread.pending.set(request, {
        resolve: (reply) => {
          if (reply.op === op) resolve(reply as Extract<Reply, { op: Op }>);
          else reject(new SnapshotError(reply.op === 'refused' ? reply.message : 'unexpected reply'));
        },
        reject,
      });
      threads.send(thread, { op, lane, request });
    });
  }

  async function update(chunks: readonly Uint8Array[], to: 'all' | 'part'): Promise<void> {
    // One message for as many blocks as there is room for: each one wakes a thread.
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
    if (thread.failure) {
      for (const { block } of pieces) blocks.giveBack(block);
      throw thread.failure;
    }
    for (const { block } of pieces) thread.blocks.add(block);
    inFlight += pieces.length;
    threads.send(thread, { op: 'update', lane, pieces, to });
  }

  return {
    update: (chunks) => update(chunks, 'all'),
    beginPart: () => threads.send(thread, { op: 'beginPart', lane }),
    updatePart: (chunks) => update(chunks, 'part'),
    partMd5: async () => (await ask('partMd5')).md5,
    snapshot: async () => (await ask('snapshot')).snapshot,
    digests: async () => (await ask('digests')).digests,
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      threads.leave(thread, lane);
      if (!thread.failure) threads.send(thread, { op: 'close', lane });
    },
  };
}
