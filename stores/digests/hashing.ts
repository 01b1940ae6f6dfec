/**
 * Computes digests on one thread, a worker or the main thread. A digest is a state, which can be saved and moved to another
 * thread. MD5 reads the bytes in the WebAssembly memory where they are; the other algorithms have instances that all
 * digests of the thread share.
 */
import { type DigestAlgorithm, type DigestSet, SnapshotError } from './digests.ts';
import { beginMd5, createMd5Engine, loadMd5, type Md5Bytes, type Md5State, saveMd5, SCRATCH_BYTES } from './md5.ts';
import {
  beginProof,
  createProofEngine,
  loadProof,
  PROOF_SCRATCH_BYTES,
  type ProofKey,
  type ProofState,
  saveProof,
} from './proof.ts';
import { createSharedHashers, type Hashers, type SavedStates, type SharedHashers } from './shared-hashers.ts';
import { decodeSnapshot, type DigestStates, encodeSnapshot } from './snapshot.ts';

/** A running digest. */
export interface Digest {
  md5: Md5State | null;
  /** The MD5 of a part of the bytes. */
  part: Md5State | null;
  /** Null where it is not computed. */
  proof: ProofState | null;
  /** The states of the other algorithms. */
  readonly saved: SavedStates;
}

/** How a digest begins: anew with these algorithms, or from a snapshot; and with the saved MD5 of a part. */
export interface DigestStart {
  from: Uint8Array | readonly DigestAlgorithm[];
  part?: Uint8Array | null;
  /** Whether a new digest has a proof, where the thread can compute it. */
  proves?: boolean;
}

/** What a thread needs for proofs. */
export interface ProofSetup extends Omit<ProofKey, 'words'> {
  /** Where the key's words are in the memory. */
  keyAt: number;
}

/** How much of the memory the digests of a thread need for themselves. */
export const HASHING_SCRATCH_BYTES = SCRATCH_BYTES + PROOF_SCRATCH_BYTES;

/** What `createHashing` can do without. */
export interface HashingOptions {
  /** Whether the MD5s of many digests may be computed by SIMD. */
  simd?: boolean;
  /** Null: no proofs. Only where WebAssembly has SIMD. */
  proof?: ProofSetup | null;
}

/** Bytes of the memory to be added to all algorithms and the part, or only to the part. */
export interface DigestBytes {
  digest: Digest;
  at: number;
  length: number;
  to: 'all' | 'part';
}

/** The digests of one thread. */
export interface Hashing {
  /** Begins or resumes a digest. @throws SnapshotError. */
  open(start: DigestStart): Digest;
  /** See `DigestLane.beginPart`. */
  beginPart(digest: Digest): void;
  /** Adds bytes to digests, the MD5s side by side. Each digest is named once. */
  update(bytes: readonly DigestBytes[]): void;
  /** The state after all bytes so far, without the part. */
  snapshot(digest: Digest): Uint8Array;
  /** The state of the part, to be resumed on another thread; null where no part was begun. */
  savePart(digest: Digest): Uint8Array | null;
  /** The digests of all bytes so far. */
  digests(digest: Digest): DigestSet;
  /** @throws SnapshotError where no part was begun. */
  partMd5(digest: Digest): string;
  /** To be called when the digest is not used any more. */
  forget(digest: Digest): void;
}

/**
 * Prepares the digests of one thread.
 *
 * @param scratch - address of `HASHING_SCRATCH_BYTES` of the memory that nothing else uses.
 * @param hashers - the algorithms beside MD5; undefined while they are not loaded.
 */
export function createHashing(
  memory: WebAssembly.Memory,
  scratch: number,
  hashers: () => Hashers | undefined,
  { simd = false, proof = null }: HashingOptions = {},
): Hashing {
  const md5 = createMd5Engine(memory, scratch, simd);
  const proofs = proof && createProofEngine(memory, scratch + SCRATCH_BYTES, proof);
  const others = createSharedHashers(hashers);

  function begin(algorithms: readonly DigestAlgorithm[], proves: boolean): Digest {
    const digest = empty();
    if (proves) digest.proof = proof && beginProof(proof);
    for (const algorithm of algorithms) {
      if (algorithm === 'md5') digest.md5 = beginMd5();
      else digest.saved.set(algorithm, others.initial(algorithm));
    }
    return digest;
  }

  return {
    open: ({ from, part, proves = false }) => {
      const digest = from instanceof Uint8Array ? resume(from, proof, others) : begin(from, proves);
      if (part) digest.part = loadMd5(part);
      return digest;
    },

    beginPart: (digest) => {
      digest.part = beginMd5();
    },

    update: (all) => {
      const chains: Md5Bytes[] = [];
      for (const { digest, at, length, to } of all) {
        if (to === 'all' && digest.md5) chains.push({ state: digest.md5, from: at, length });
        if (digest.part) chains.push({ state: digest.part, from: at, length });
      }
      md5.update(chains);
      for (const { digest, at, length, to } of all) {
        if (to === 'part') continue;
        if (digest.proof) proofs?.update(digest.proof, at, length);
        if (digest.saved.size === 0) continue;
        others.update(digest.saved, new Uint8Array(memory.buffer, at, length));
      }
    },

    snapshot: (digest) => {
      others.save(digest.saved);
      const states: DigestStates = new Map(digest.saved);
      if (digest.md5) states.set('md5', saveMd5(digest.md5));
      if (digest.proof && proof) states.set('proof', saveProof(proof, digest.proof));
      return encodeSnapshot(states);
    },

    savePart: ({ part }) => part && saveMd5(part),

    digests: (digest) => ({
      ...(digest.md5 && { md5: md5.digest(digest.md5) }),
      ...(digest.proof && proofs && { proof: proofs.digest(digest.proof) }),
      ...(digest.saved.size > 0 && others.digests(digest.saved)),
    }),

    partMd5: ({ part }) => {
      if (!part) throw new SnapshotError('no part was begun');
      return md5.digest(part);
    },

    forget: (digest) => others.forget(digest.saved),
  };
}

function empty(): Digest {
  return { md5: null, part: null, proof: null, saved: new Map() };
}

function resume(snapshot: Uint8Array, proof: ProofSetup | null, others: SharedHashers): Digest {
  const digest = empty();
  try {
    for (const [algorithm, state] of decodeSnapshot(snapshot)) {
      if (algorithm === 'md5') digest.md5 = loadMd5(state);
      else if (algorithm === 'proof') digest.proof = proof && loadProof(proof, state);
      else digest.saved.set(algorithm, state);
    }
    // hash-wasm throws for states of another build of its code, and for damaged ones: let it do so now, not at the end.
    others.digests(digest.saved);
    return digest;
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    throw new SnapshotError(error instanceof Error ? error.message : String(error), error);
  }
}
