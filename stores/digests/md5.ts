/** MD5 (RFC 1321) of bytes in shared memory, with a state that can be saved at any byte. */
import { BLOCK_BYTES, instantiateMd5 } from './md5-module.ts';
import { SnapshotError } from './digests.ts';

/** RFC 1321, section 3.3. */
const INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;
const WORDS = INITIAL.length;
/** The length at the end of the padding. */
const LENGTH_BYTES = 8;
/** A saved state: the chain, the length, and the bytes after the last whole block. */
const SAVED_BYTES = WORDS * 4 + LENGTH_BYTES;

/** What an engine needs of the memory: two chains, and two blocks. */
export const SCRATCH_BYTES = 256;
const BLOCKS_AT = 128;

export interface Md5State {
  chain: Uint32Array;
  /** Bytes so far. */
  length: number;
  /** Those after the last whole block: `length % 64` of them count. */
  rest: Uint8Array;
}

export function beginMd5(): Md5State {
  return { chain: Uint32Array.from(INITIAL), length: 0, rest: new Uint8Array(BLOCK_BYTES) };
}

export function saveMd5({ chain, length, rest }: Md5State): Uint8Array {
  const saved = Buffer.alloc(SAVED_BYTES + (length % BLOCK_BYTES));
  chain.forEach((word, index) => saved.writeUInt32LE(word, index * 4));
  saved.writeBigUInt64LE(BigInt(length), WORDS * 4);
  saved.set(rest.subarray(0, length % BLOCK_BYTES), SAVED_BYTES);
  return saved;
}

/** @throws SnapshotError when it was not saved by `saveMd5`. */
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

export interface Md5Engine {
  /** Adds bytes of the memory to one state, or the same bytes to two. */
  update(states: readonly Md5State[], from: number, length: number): void;
  /** Of everything so far, lower-case hex; the state can take more. */
  digest(state: Md5State): string;
}

function restOf(state: Md5State | undefined): number {
  return (state?.length ?? 0) % BLOCK_BYTES;
}

/** @param scratch - address of `SCRATCH_BYTES` that nobody else uses. */
export function createMd5Engine(memory: WebAssembly.Memory, scratch: number): Md5Engine {
  const { one, two } = instantiateMd5(memory);
  const bytes = new Uint8Array(memory.buffer);
  const chains = new Uint32Array(memory.buffer, scratch, WORDS * 2);
  const blocks = new Uint8Array(memory.buffer, scratch + BLOCKS_AT, BLOCK_BYTES * 2);

  function compress(states: readonly Md5State[], from: number, count: number): void {
    if (count === 0) return;
    states.forEach(({ chain }, index) => chains.set(chain, index * WORDS));
    (states.length === 2 ? two : one)(scratch, from, count);
    states.forEach(({ chain }, index) => chain.set(chains.subarray(index * WORDS, (index + 1) * WORDS)));
  }

  /** All states have as many bytes after their last whole block, so that their next blocks begin at the same byte. */
  function updateInStep(states: readonly Md5State[], from: number, length: number): void {
    const used = restOf(states[0]);
    const end = from + length;
    let at = from;
    if (used > 0) {
      at = Math.min(end, from + BLOCK_BYTES - used);
      for (const state of states) {
        state.rest.set(bytes.subarray(from, at), used);
        if (used + at - from < BLOCK_BYTES) continue;
        // What came before may differ between the states.
        blocks.set(state.rest);
        compress([state], scratch + BLOCKS_AT, 1);
      }
    }
    const whole = Math.floor((end - at) / BLOCK_BYTES);
    compress(states, at, whole);
    at += whole * BLOCK_BYTES;
    for (const state of states) {
      if (at < end) state.rest.set(bytes.subarray(at, end));
      state.length += length;
    }
  }

  return {
    update: (states, from, length) => {
      if (states.every((state) => restOf(state) === restOf(states[0]))) updateInStep(states, from, length);
      else for (const state of states) updateInStep([state], from, length);
    },
    digest: ({ chain, length, rest }) => {
      const used = length % BLOCK_BYTES;
      const count = used + 1 + LENGTH_BYTES <= BLOCK_BYTES ? 1 : 2;
      const end = new DataView(new ArrayBuffer(BLOCK_BYTES * count));
      new Uint8Array(end.buffer).set(rest.subarray(0, used));
      end.setUint8(used, 0x80);
      end.setBigUint64(end.byteLength - LENGTH_BYTES, BigInt.asUintN(64, BigInt(length) * 8n), true);
      blocks.set(new Uint8Array(end.buffer));
      const last: Md5State = { chain: Uint32Array.from(chain), length, rest };
      compress([last], scratch + BLOCKS_AT, count);
      return Buffer.from(last.chain.buffer).toString('hex');
    },
  };
}
