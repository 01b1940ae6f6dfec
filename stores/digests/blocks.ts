/** Blocks of shared memory, in which bytes are passed to the threads. Their number bounds how many bytes are in flight. */
import { HASHING_SCRATCH_BYTES } from './hashing.ts';
import { BLOCK_BYTES, type Piece } from './messages.ts';
import { PROOF_KEY_BYTES } from './proof.ts';

/** Blocks shared by all lanes: 8 MiB whatever the number of uploads. */
const BLOCKS = 32;
/** The size of WebAssembly's memory is a multiple of this. */
const PAGE_BYTES = 64 * 1024;
/** From one thread's scratch memory to the next one's: whole lines of the processors' caches. */
const SCRATCH_STEP = Math.ceil(HASHING_SCRATCH_BYTES / 128) * 128;

/** The blocks of a pool. */
export interface Blocks {
  readonly memory: WebAssembly.Memory;
  /** The address of `PROOF_KEY_BYTES`, for the key that all threads use. */
  readonly keyAt: number;
  /** The address of a thread's own scratch memory. */
  scratchOf(thread: number): number;
  /** Takes a free block; undefined where none is free. */
  tryTake(): number | undefined;
  /** Takes a free block, or waits for one: first come, first served. */
  take(): number | Promise<number>;
  giveBack(block: number): void;
  /** Keeps the block of these bytes from becoming free, also where it is given back, until `unpin` was called as often. */
  pin(bytes: Uint8Array): void;
  unpin(bytes: Uint8Array): void;
  /** Whether none is free. */
  readonly isShort: boolean;
  /** Calls the listener whenever somebody has to wait for a block. */
  whenShort(listener: () => void): void;
  /** Copies as much of the chunk as fits to the piece. @returns the copy. */
  append(piece: Piece, chunk: Uint8Array, from: number): Uint8Array;
}

/** Allocates the blocks. */
export function createBlocks(): Blocks {
  // After the blocks, one page for the scratch memory of threads, enough for many more than run at once, and one for the key.
  const scratchAt = BLOCKS * BLOCK_BYTES;
  const keyAt = scratchAt + PAGE_BYTES;
  const pages = keyAt / PAGE_BYTES + Math.ceil(PROOF_KEY_BYTES / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const free: number[] = Array.from({ length: BLOCKS }, (_, block) => block);
  const waiting: ((block: number) => void)[] = [];
  const listeners: (() => void)[] = [];
  /** Of each block, how often it is pinned. */
  const pins = new Uint16Array(BLOCKS);
  /** Blocks that were given back while they were pinned. */
  const due = new Set<number>();

  function wait(): Promise<number> {
    for (const listener of listeners) listener();
    return new Promise((resolve) => waiting.push(resolve));
  }

  function giveBack(block: number): void {
    if (pins[block]) {
      due.add(block);
      return;
    }
    const next = waiting.shift();
    if (next) next(block);
    else free.push(block);
  }

  /** Changes how often the block of these bytes is pinned. @returns the block. */
  function changePins({ byteOffset }: Uint8Array, by: 1 | -1): number {
    const block = Math.floor(byteOffset / BLOCK_BYTES);
    pins[block] = (pins[block] ?? 0) + by;
    return block;
  }

  return {
    memory,
    keyAt,
    scratchOf: (thread) => scratchAt + (thread % Math.floor(PAGE_BYTES / SCRATCH_STEP)) * SCRATCH_STEP,
    tryTake: () => free.pop(),
    take: () => free.pop() ?? wait(),
    giveBack,
    pin: (copy) => void changePins(copy, 1),
    unpin: (copy) => {
      const block = changePins(copy, -1);
      if (!pins[block] && due.delete(block)) giveBack(block);
    },
    get isShort() {
      return free.length === 0;
    },
    whenShort: (listener) => void listeners.push(listener),
    append: (piece, chunk, from) => {
      const length = Math.min(chunk.length - from, BLOCK_BYTES - piece.length);
      const at = piece.block * BLOCK_BYTES + piece.length;
      const copy = bytes.subarray(at, at + length);
      copy.set(chunk.subarray(from, from + length));
      piece.length += length;
      return copy;
    },
  };
}
