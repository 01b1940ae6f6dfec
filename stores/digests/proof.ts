/**
 * A digest that proves equal bytes: nobody outside can make two contents that have the same, as it depends on a secret key.
 * Computed along with MD5, at a fraction of its cost. See docs/decisions/0057.
 *
 * Blocks of bytes become sums (NH), blocks of sums become sums again, and these are chained by SHA-256.
 */
import { createCipheriv, hash } from 'node:crypto';
import { SnapshotError } from './digests.ts';
import { instantiateNh, NH_BLOCK_BYTES, NH_KEY_BYTES, SUMS_BYTES, UNIT_BYTES } from './nh-module.ts';

const LEVELS = 2;
const CHAIN_BYTES = 32;
/** Enough that no two keys of a catalog have the same. */
const ID_BYTES = 4;
const LENGTH_BYTES = 8;
/** 128 bits: as many as the sums are worth. */
const TAG_BYTES = 16;

/** The key as it is expanded from the secret. */
export interface ProofKey {
  /** Tells proofs by other keys apart. */
  readonly id: Uint8Array;
  /** The keys of both levels, one after the other. */
  readonly words: Uint8Array;
  /** The chain before the first byte. */
  readonly chain: Uint8Array;
}

/** How much of the memory the key takes. */
export const PROOF_KEY_BYTES = LEVELS * NH_KEY_BYTES;
/** How much of the memory an engine needs: for sums, and for a unit. */
export const PROOF_SCRATCH_BYTES = SUMS_BYTES + UNIT_BYTES;

/** Expands a secret of any length. */
export function deriveProofKey(secret: string): ProofKey {
  const seed = hash('sha256', `tidemark proof ${secret}`, 'buffer');
  const stream = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16));
  const bytes = stream.update(Buffer.alloc(PROOF_KEY_BYTES + CHAIN_BYTES + ID_BYTES));
  const chainAt = PROOF_KEY_BYTES;
  const idAt = chainAt + CHAIN_BYTES;
  return { words: bytes.subarray(0, chainAt), chain: bytes.subarray(chainAt, idAt), id: bytes.subarray(idAt) };
}

/** One level: the sums of its block so far. */
interface Level {
  sums: Uint8Array;
  /** How many bytes of the block they have, those of `rest` included. */
  used: number;
}

export interface ProofState {
  /** Number of bytes so far. */
  length: number;
  readonly levels: readonly [Level, Level];
  chain: Uint8Array;
  /** The bytes after the last whole unit: the first `length % 64` of this buffer. */
  readonly rest: Uint8Array;
}

export interface ProofEngine {
  /** Adds bytes of the memory. */
  update(state: ProofState, from: number, length: number): void;
  /** The proof of all bytes so far: the key's id, and 128 bits, in lower-case hex. More bytes can be added. */
  digest(state: ProofState): string;
}

/** Whether two proofs are of the same key, so that they can be compared. */
export function areComparable(a: string, b: string): boolean {
  return a.slice(0, ID_BYTES * 2) === b.slice(0, ID_BYTES * 2);
}

/**
 * Creates an engine. Only where WebAssembly has SIMD.
 *
 * @param scratch - address of `PROOF_SCRATCH_BYTES` of the memory that nothing else uses.
 * @param key - its words are at `keyAt` in the memory.
 */
export function createProofEngine(
  memory: WebAssembly.Memory,
  scratch: number,
  key: Omit<ProofKey, 'words'> & { keyAt: number },
): ProofEngine {
  const addUnits = instantiateNh(memory);
  const bytes = new Uint8Array(memory.buffer);
  const sums = new Uint8Array(memory.buffer, scratch, SUMS_BYTES);
  const unitAt = scratch + SUMS_BYTES;
  const unit = new Uint8Array(memory.buffer, unitAt, UNIT_BYTES);

  /** Adds whole units that lie within the level's block. */
  function add(state: ProofState, index: 0 | 1, from: number, units: number): void {
    const level = state.levels[index];
    sums.set(level.sums);
    addUnits(scratch, key.keyAt + index * NH_KEY_BYTES + level.used, from, units);
    level.used += units * UNIT_BYTES;
    if (level.used < NH_BLOCK_BYTES) level.sums.set(sums);
    else close(state, index);
  }

  /** The level's block has ended, and its sums are in the scratch memory. */
  function close(state: ProofState, index: 0 | 1): void {
    const level = state.levels[index];
    level.sums.fill(0);
    level.used = 0;
    if (index === 1) {
      state.chain = sha256(state.chain, sums);
    } else {
      unit.set(sums);
      add(state, 1, unitAt, 1);
    }
  }

  return {
    update: (state, from, length) => {
      const end = from + length;
      let at = from;
      const begun = state.length % UNIT_BYTES;
      if (begun > 0) {
        at = Math.min(end, from + UNIT_BYTES - begun);
        state.rest.set(bytes.subarray(from, at), begun);
        if (begun + at - from === UNIT_BYTES) {
          unit.set(state.rest);
          add(state, 0, unitAt, 1);
        }
      }
      while (end - at >= UNIT_BYTES) {
        const most = Math.min(end - at, NH_BLOCK_BYTES - state.levels[0].used);
        const units = Math.floor(most / UNIT_BYTES);
        add(state, 0, at, units);
        at += units * UNIT_BYTES;
      }
      if (at < end) state.rest.set(bytes.subarray(at, end));
      state.length += length;
    },

    digest: (state) => {
      const last = copyOf(state);
      const used = last.length % UNIT_BYTES;
      if (used > 0) {
        last.rest.fill(0, used);
        unit.set(last.rest);
        add(last, 0, unitAt, 1);
      }
      for (const index of [0, 1] as const) {
        if (last.levels[index].used === 0) continue;
        sums.set(last.levels[index].sums);
        close(last, index);
      }
      const tag = sha256(last.chain, uint64(last.length)).subarray(0, TAG_BYTES);
      return Buffer.concat([key.id, tag]).toString('hex');
    },
  };
}

/** The state before the first byte. */
export function beginProof({ chain }: Pick<ProofKey, 'chain'>): ProofState {
  const level = (): Level => ({ sums: new Uint8Array(SUMS_BYTES), used: 0 });
  return { length: 0, levels: [level(), level()], chain, rest: new Uint8Array(UNIT_BYTES) };
}

/** Saves a state. */
export function saveProof({ id }: Pick<ProofKey, 'id'>, { length, levels, chain, rest }: ProofState): Uint8Array {
  const sumsOf = levels.filter(({ used }) => used > 0).map(({ sums }) => sums);
  return Buffer.concat([id, uint64(length), chain, ...sumsOf, rest.subarray(0, length % UNIT_BYTES)]);
}

/** Loads a saved state; null where it is of another key. @throws SnapshotError when `saveProof` did not write it. */
export function loadProof(key: Pick<ProofKey, 'id' | 'chain'>, saved: Uint8Array): ProofState | null {
  const view = Buffer.from(saved);
  if (view.length < ID_BYTES + LENGTH_BYTES + CHAIN_BYTES) throw new SnapshotError('the state of the proof is damaged');
  if (!view.subarray(0, ID_BYTES).equals(key.id)) return null;
  const state = beginProof(key);
  let at = ID_BYTES + LENGTH_BYTES;
  const take = (length: number): Buffer => view.subarray(at, (at += length));
  state.length = Number(view.readBigUInt64LE(ID_BYTES));
  state.chain = Uint8Array.from(take(CHAIN_BYTES));
  for (const [index, level] of state.levels.entries()) {
    level.used = usedOf(state.length, index);
    if (level.used > 0) level.sums.set(take(SUMS_BYTES));
  }
  state.rest.set(take(state.length % UNIT_BYTES));
  if (at !== view.length) throw new SnapshotError('the state of the proof is damaged');
  return state;
}

function copyOf({ length, levels, chain, rest }: ProofState): ProofState {
  const [first, second] = levels.map(({ sums, used }) => ({ sums: sums.slice(), used })) as [Level, Level];
  return { length, levels: [first, second], chain, rest: rest.slice() };
}

function uint64(value: number): Uint8Array {
  const bytes = Buffer.alloc(LENGTH_BYTES);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** How many bytes of a level's block have been added, after so many bytes. */
function usedOf(length: number, level: number): number {
  if (level === 0) return Math.floor((length % NH_BLOCK_BYTES) / UNIT_BYTES) * UNIT_BYTES;
  return (Math.floor(length / NH_BLOCK_BYTES) * SUMS_BYTES) % NH_BLOCK_BYTES;
}

function sha256(...pieces: Uint8Array[]): Uint8Array {
  return hash('sha256', Buffer.concat(pieces), 'buffer');
}
