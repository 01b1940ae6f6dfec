/**
 * Requests to a thread that wait on the main thread, so that one message has bytes of many lanes: side by side they cost less,
 * and each message wakes the thread. Nobody waits for held bytes: whoever asks for a digest sends them.
 */
import type { Blocks } from './blocks.ts';
import { MOST_CHAINS } from './md5-lanes-module.ts';
import { BLOCK_BYTES, type Piece, type Request } from './messages.ts';

/** On average, each lane holds at least so much when bytes of all lanes are held. */
const BYTES_PER_LANE = 64 * 1024;
/** The most blocks that are held: half of all, so that others fill while the thread works. */
const MOST_BLOCKS = 16;
/** The most blocks of one lane, a third of what it may have in flight: a millisecond's work. */
const MOST_BLOCKS_OF_LANE = 4;

type Update = Extract<Request, { op: 'update' }>;

/** Why bytes are added: to the digests and the part, or to the part alone. */
export type Target = Update['to'];

/** The requests that wait. */
export interface Held {
  push(request: Exclude<Request, Update | { op: 'close' }>): void;
  /** Copies as much of the chunk as there is room for in the lane's last block. @returns the copy; undefined where there is no room. */
  append(lane: number, to: Target, chunk: Uint8Array, from: number): Uint8Array | undefined;
  /** Adds an empty block. */
  addBlock(lane: number, to: Target, block: number): void;
  /** Closes a lane. Its bytes, which nobody wants any more, are removed. @returns their blocks. */
  close(lane: number): number[];
  /** Removes all requests. */
  takeAll(): Request[];
  /**
   * Whether it is time to send them: enough is held, or more room is needed.
   *
   * @param lanes - how many lanes the thread has.
   */
  isDue(lanes: number): boolean;
}

/** Begins without requests. */
export function createHeld(blocks: Blocks): Held {
  let requests: Request[] = [];
  /** Of each lane, the request to which more bytes can be added: its last one. */
  const open = new Map<number, Update>();
  /** How many blocks of each lane. */
  const blocksOf = new Map<number, number>();
  let heldBytes = 0;
  let heldBlocks = 0;
  let isLaneFull = false;

  function lastPiece(lane: number, to: Target): Piece | undefined {
    const update = open.get(lane);
    const piece = update?.to === to ? update.pieces.at(-1) : undefined;
    return piece && piece.length < BLOCK_BYTES ? piece : undefined;
  }

  return {
    push: (request) => {
      open.delete(request.lane);
      requests.push(request);
    },

    append: (lane, to, chunk, from) => {
      const piece = lastPiece(lane, to);
      const copy = piece && blocks.append(piece, chunk, from);
      heldBytes += copy?.length ?? 0;
      return copy;
    },

    addBlock: (lane, to, block) => {
      const update = open.get(lane);
      const piece = { block, length: 0 };
      if (update?.to === to) {
        update.pieces.push(piece);
      } else {
        const next: Update = { op: 'update', lane, pieces: [piece], to };
        requests.push(next);
        open.set(lane, next);
      }
      const ofLane = (blocksOf.get(lane) ?? 0) + 1;
      blocksOf.set(lane, ofLane);
      heldBlocks++;
      isLaneFull ||= ofLane >= MOST_BLOCKS_OF_LANE;
    },

    close: (lane) => {
      const ofLane = requests.filter((request) => request.lane === lane);
      // Answers to questions are still expected.
      const isAsked = ofLane.some((request) => 'request' in request);
      if (!isAsked) requests = requests.filter((request) => request.lane !== lane);
      // The thread may not know the lane yet.
      if (isAsked || !ofLane.some(({ op }) => op === 'open')) requests.push({ op: 'close', lane });
      open.delete(lane);
      if (isAsked) return [];
      const pieces = ofLane.flatMap((request) => (request.op === 'update' ? request.pieces : []));
      heldBlocks -= pieces.length;
      for (const { length } of pieces) heldBytes -= length;
      blocksOf.delete(lane);
      return pieces.map(({ block }) => block);
    },

    takeAll: () => {
      const all = requests;
      requests = [];
      open.clear();
      blocksOf.clear();
      heldBytes = 0;
      heldBlocks = 0;
      isLaneFull = false;
      return all;
    },

    isDue: (lanes) => {
      if (heldBlocks === 0) return false;
      if (lanes === 1 || isLaneFull || heldBlocks >= MOST_BLOCKS || blocks.isShort) return true;
      return blocksOf.size >= Math.min(lanes, MOST_CHAINS) && heldBytes >= blocksOf.size * BYTES_PER_LANE;
    },
  };
}
