/** Blocks of shared memory in which bytes travel to the threads: what is on its way is bounded by their number. */
import { SCRATCH_BYTES } from './md5.ts';
import { BLOCK_BYTES, type Piece } from './messages.ts';

/** Blocks shared by all lanes: 8 MiB whatever the number of uploads. */
const BLOCKS = 32;
/** WebAssembly's unit of memory. */
const PAGE_BYTES = 64 * 1024;

export interface Blocks {
  readonly memory: WebAssembly.Memory;
  /** Address of a thread's own part of the memory. */
  scratchOf(thread: number): number;
  /** One that is free now. */
  tryTake(): number | undefined;
  /** One that is free, once there is one: first come, first served. */
  take(): number | Promise<number>;
  giveBack(block: number): void;
  /** Appends what fits to the piece. @returns how many bytes. */
  append(piece: Piece, chunk: Uint8Array, from: number): number;
}

export function createBlocks(): Blocks {
  // After the blocks one page for the scratch of threads: of many more than live at once.
  const pages = (BLOCKS * BLOCK_BYTES) / PAGE_BYTES + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const free: number[] = Array.from({ length: BLOCKS }, (_, block) => block);
  const waiting: ((block: number) => void)[] = [];

  return {
    memory,
    scratchOf: (thread) => BLOCKS * BLOCK_BYTES + (thread % (PAGE_BYTES / SCRATCH_BYTES)) * SCRATCH_BYTES,
    tryTake: () => free.pop(),
    take: () => free.pop() ?? new Promise<number>((resolve) => waiting.push(resolve)),
    giveBack: (block) => {
      const next = waiting.shift();
      if (next) next(block);
      else free.push(block);
    },
    append: (piece, chunk, from) => {
      const length = Math.min(chunk.length - from, BLOCK_BYTES - piece.length);
      bytes.set(chunk.subarray(from, from + length), piece.block * BLOCK_BYTES + piece.length);
      piece.length += length;
      return length;
    },
  };
}
