/** MD5 (RFC 1321) of bytes in shared memory, with a state that can be saved after any byte. */
import { instantiateMd5 } from './md5-module.ts';
import {
  FEWEST_LANES,
  instantiateMd5Lanes,
  LANES_SCRATCH_BYTES,
  type Md5Lanes,
  MOST_CHAINS,
} from './md5-lanes-module.ts';
import { BLOCK_BYTES } from './md5-steps.ts';
import { SnapshotError } from './digests.ts';

/** RFC 1321, section 3.3. */
const INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;
const WORDS = INITIAL.length;
/** Size of the length field at the end of the padding. */
const LENGTH_BYTES = 8;
/** Size of a saved state without its last bytes: the chain and the length. The bytes after the last whole block follow. */
const SAVED_BYTES = WORDS * 4 + LENGTH_BYTES;

/** Addresses in an engine's scratch memory: of two chains, of two blocks, and of what many chains need. */
const BLOCKS_AT = 128;
const LANES_AT = 256;
/** How much of the memory an engine needs. */
export const SCRATCH_BYTES = 2048;
if (LANES_AT + LANES_SCRATCH_BYTES > SCRATCH_BYTES) throw new Error('SCRATCH_BYTES is too small');

export interface Md5State {
  chain: Uint32Array;
  /** Number of bytes so far. */
  length: number;
  /** The bytes after the last whole block: the first `length % 64` of this buffer. */
  rest: Uint8Array;
}

/** The state before the first byte. */
export function beginMd5(): Md5State {
  return { chain: Uint32Array.from(INITIAL), length: 0, rest: new Uint8Array(BLOCK_BYTES) };
}

/** Saves a state. */
export function saveMd5({ chain, length, rest }: Md5State): Uint8Array {
  const saved = Buffer.alloc(SAVED_BYTES + (length % BLOCK_BYTES));
  chain.forEach((word, index) => saved.writeUInt32LE(word, index * 4));
  saved.writeBigUInt64LE(BigInt(length), WORDS * 4);
  saved.set(rest.subarray(0, length % BLOCK_BYTES), SAVED_BYTES);
  return saved;
}

/** Loads a saved state. @throws SnapshotError when `saveMd5` did not write it. */
export function loadMd5(saved: Uint8Array): Md5State {
  const view = Buffer.from(saved);
  const state = beginMd5();
  if (view.length >= SAVED_BYTES) {
    state.length = Number(view.readBigUInt64LE(WORDS * 4));
    state.chain.forEach((_, index) => (state.chain[index] = view.readUInt32LE(index * 4)));
  }
  if (view.length !== SAVED_BYTES + (state.length % BLOCK_BYTES)) throw new SnapshotError('the MD5 state is damaged');
  state.rest.set(view.subarray(SAVED_BYTES));
  return state;
}

/** Bytes of the memory to be added to a state. */
export interface Md5Bytes {
  state: Md5State;
  from: number;
  length: number;
}

export interface Md5Engine {
  /** Adds bytes to each state, side by side. Each state is named once. */
  update(bytes: readonly Md5Bytes[]): void;
  /** The digest of all bytes so far, lower-case hex; more can be added to the state. */
  digest(state: Md5State): string;
}

/** What is left to be added of somebody's bytes: whole blocks first. */
interface Left extends Md5Bytes {
  end: number;
  blocks: number;
}

/**
 * Creates an engine.
 *
 * @param scratch - address of `SCRATCH_BYTES` of the memory that nothing else uses.
 * @param simd - whether five chains and more may be computed by SIMD.
 */
export function createMd5Engine(memory: WebAssembly.Memory, scratch: number, simd = false): Md5Engine {
  const { one, two } = instantiateMd5(memory);
  const bytes = new Uint8Array(memory.buffer);
  const chains = new Uint32Array(memory.buffer, scratch, WORDS * 2);
  const lastBlocks = new Uint8Array(memory.buffer, scratch + BLOCKS_AT, BLOCK_BYTES * 2);
  /** Compiled when it is first needed: most processes never have five uploads at once. */
  let lanes: Md5Lanes | undefined;

  /** Adds blocks to one chain or two. */
  function compress(states: readonly Md5State[], from: readonly number[], count: number): void {
    states.forEach(({ chain }, index) => chains.set(chain, index * WORDS));
    if (states.length === 2) two(scratch, count, from[0] ?? 0, from[1] ?? 0);
    else one(scratch, count, from[0] ?? 0);
    for (const [index, { chain }] of states.entries()) {
      for (let word = 0; word < WORDS; word++) chain[word] = chains[index * WORDS + word] ?? 0;
    }
  }

  /** Fills the block that was begun. */
  function begin({ state, from, length }: Md5Bytes): Left {
    const used = state.length % BLOCK_BYTES;
    const end = from + length;
    const at = used > 0 ? Math.min(end, from + BLOCK_BYTES - used) : from;
    if (used > 0) state.rest.set(bytes.subarray(from, at), used);
    if (used > 0 && used + at - from === BLOCK_BYTES) {
      lastBlocks.set(state.rest);
      compress([state], [scratch + BLOCKS_AT], 1);
    }
    return { state, from: at, length, end, blocks: Math.floor((end - at) / BLOCK_BYTES) };
  }

  /** Adds as many blocks as all of the chains have left. */
  function advance(some: readonly Left[]): void {
    const count = Math.min(...some.map(({ blocks }) => blocks));
    const states = some.map(({ state }) => state);
    const from = some.map((left) => left.from);
    if (some.length <= 2) {
      compress(states, from, count);
    } else {
      lanes ??= instantiateMd5Lanes(memory, scratch + LANES_AT);
      lanes.take(
        states.map(({ chain }) => chain),
        from,
        count,
      );
    }
    for (const left of some) {
      left.from += count * BLOCK_BYTES;
      left.blocks -= count;
    }
  }

  return {
    update: (all) => {
      const begun = all.map(begin);
      for (let left = withBlocks(begun); left.length > 0; left = withBlocks(left)) {
        advance(left.length > 2 ? left.slice(0, howMany(left.length, simd)) : left);
      }
      for (const { state, from, end, length } of begun) {
        if (from < end) state.rest.set(bytes.subarray(from, end));
        state.length += length;
      }
    },
    digest: ({ chain, length, rest }) => {
      const used = length % BLOCK_BYTES;
      const count = used + 1 + LENGTH_BYTES <= BLOCK_BYTES ? 1 : 2;
      const end = new DataView(new ArrayBuffer(BLOCK_BYTES * count));
      new Uint8Array(end.buffer).set(rest.subarray(0, used));
      end.setUint8(used, 0x80);
      end.setBigUint64(end.byteLength - LENGTH_BYTES, BigInt.asUintN(64, BigInt(length) * 8n), true);
      lastBlocks.set(new Uint8Array(end.buffer));
      const last: Md5State = { chain: Uint32Array.from(chain), length, rest };
      compress([last], [scratch + BLOCKS_AT], count);
      return Buffer.from(last.chain.buffer).toString('hex');
    },
  };
}

/** Those that have whole blocks left, the ones with most of them first, so that all end at about the same time. */
function withBlocks(all: readonly Left[]): readonly Left[] {
  const left = all.every(({ blocks }) => blocks > 0) ? all : all.filter(({ blocks }) => blocks > 0);
  return left.length > 2 ? left.toSorted((a, b) => b.blocks - a.blocks) : left;
}

/** How many of so many chains go side by side: two pairs are faster than four chains by SIMD (decision 0053). */
function howMany(chains: number, simd: boolean): number {
  return simd && chains >= FEWEST_LANES ? Math.min(chains, MOST_CHAINS) : Math.min(chains, 2);
}
