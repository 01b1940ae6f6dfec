/** MD5 (RFC 1321) of bytes in shared memory, with a state that can be saved after any byte. */
import { BLOCK_BYTES, instantiateMd5 } from './md5-module.ts';
import { SnapshotError } from './digests.ts';

/** RFC 1321, section 3.3. */
const INITIAL = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;
const WORDS = INITIAL.length;
/** Size of the length field at the end of the padding. */
const LENGTH_BYTES = 8;
/** Size of a saved state without its last bytes: the chain and the length. The bytes after the last whole block follow. */
const SAVED_BYTES = WORDS * 4 + LENGTH_BYTES;

/** How much of the memory an engine needs: for two chains and two blocks. */
export const SCRATCH_BYTES = 256;
const BLOCKS_AT = 128;

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

export interface Md5Engine {
  /** Adds bytes of the memory to one state, or the same bytes to two. */
  update(states: readonly Md5State[], from: number, length: number): void;
  /** The digest of all bytes so far, lower-case hex; more can be added to the state. */
  digest(state: Md5State): string;
}

function restOf(state: Md5State | undefined): number {
  return (state?.length ?? 0) % BLOCK_BYTES;
}

/** Creates an engine. @param scratch - address of `SCRATCH_BYTES` of the memory that nothing else uses. */
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

  /** Only for states with the same number of bytes after their last whole block: so their next blocks begin at the same byte. */
  function updateInStep(states: readonly Md5State[], from: number, length: number): void {
    const used = restOf(states[0]);
    const end = from + length;
    let at = from;
    if (used > 0) {
      at = Math.min(end, from + BLOCK_BYTES - used);
      for (const state of states) {
        state.rest.set(bytes.subarray(from, at), used);
        if (used + at - from < BLOCK_BYTES) continue;
        // One state at a time, as the earlier bytes of this block may differ.
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
