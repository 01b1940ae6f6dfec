/** The messages between the pool and its worker threads: each is a list of requests or replies, in order. */
import type { DigestSet } from './digests.ts';
import type { DigestStart, ProofSetup } from './hashing.ts';

/** Size of one block of shared memory in bytes: large enough that a message per block costs little. */
export const BLOCK_BYTES = 256 * 1024;

export interface WorkerSetup {
  /** Shared by all threads: the blocks, one after the other, the scratch memory of each thread, and the key of proofs. */
  memory: WebAssembly.Memory;
  /** Address of this thread's own scratch memory. */
  scratch: number;
  /** Whether it may use SIMD. */
  simd: boolean;
  /** Null: it computes no proofs. */
  proof: ProofSetup | null;
}

/** Bytes in a block of shared memory, from its start. */
export interface Piece {
  block: number;
  length: number;
}

export type Request =
  | ({ op: 'open'; lane: number } & DigestStart)
  | { op: 'update'; lane: number; pieces: Piece[]; to: 'all' | 'part' }
  | { op: 'beginPart'; lane: number }
  | { op: 'partMd5'; lane: number; request: number }
  | { op: 'snapshot'; lane: number; request: number }
  | { op: 'digests'; lane: number; request: number }
  | { op: 'close'; lane: number };

export type Reply =
  | { op: 'free'; lane: number; pieces: Piece[] }
  | { op: 'snapshot'; request: number; snapshot: Uint8Array }
  | { op: 'partMd5'; request: number; md5: string }
  | { op: 'digests'; request: number; digests: DigestSet }
  | { op: 'refused'; request: number; message: string };
