/**
 * Running digests whose state can be saved at an offset and resumed from there,
 * computed off the main thread.
 */

import { bytesIn } from '../chunks.ts';

export const DIGEST_ALGORITHMS = ['md5', 'sha1', 'sha256'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/**
 * Digests in lower-case hex, by the algorithms with which the lane was opened. `proof`: contents of equal size that have the same
 * are equal; see proof.ts. It is a secret of the service.
 */
export type DigestSet = Partial<Record<DigestAlgorithm | 'proof', string>>;

/** Computes digests on worker threads. */
export interface DigestPool {
  readonly algorithms: readonly DigestAlgorithm[];
  /**
   * Begins a digest, or resumes one from a snapshot, with the snapshot's algorithms. Where the snapshot cannot be resumed,
   * the lane's `snapshot` and `digests` throw a SnapshotError.
   *
   * @param algorithms - of a new digest; by default the pool's, and the proof where the pool has a key for it.
   */
  open(snapshot: Uint8Array | null, algorithms?: readonly DigestAlgorithm[]): DigestLane;
  close(): Promise<void>;
}

/** Bytes that were added to a digest, and are to be stored, too. */
export interface KeptBytes {
  /** The bytes, in order. They do not change before `release`. */
  readonly bytes: readonly Uint8Array[];
  /** How many. */
  readonly length: number;
  /** They are copies: the chunks' own memory may be used again at once. */
  readonly areCopies: boolean;
  /** To be called once, when nobody reads `bytes` any more. */
  release(): void;
}

/** One running digest. */
export interface DigestLane {
  /**
   * Adds bytes, in the order of the calls. Resolves once they are copied and there is room for more. Callers have to
   * wait for it, which bounds memory; until then the chunks must not change.
   */
  update(chunks: readonly Uint8Array[]): Promise<void>;
  /**
   * Adds bytes as `update` does, and keeps them for the caller, who reads them from the memory in which they are hashed. Takes as
   * many as there is room for, and waits for some room where there is none; so those who wait keep nothing from others.
   */
  keep(chunks: readonly Uint8Array[]): Promise<KeptBytes>;
  /**
   * Begins a part: from here on, the MD5 of the added bytes alone is computed, too, until another part begins. Both
   * together cost little more than one.
   */
  beginPart(): void;
  /** Adds bytes only to the part: bytes that the lane has hashed before. */
  updatePart(chunks: readonly Uint8Array[]): Promise<void>;
  /** MD5 of the part so far, lower-case hex. Only after `beginPart`. */
  partMd5(): Promise<string>;
  /** The state after all bytes so far, without the part. */
  snapshot(): Promise<Uint8Array>;
  /** The digests of all bytes so far; more can be added. */
  digests(): Promise<DigestSet>;
  /** Frees the lane. */
  close(): void;
}

/** A saved state is damaged, or of another version of the digest library. */
export class SnapshotError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SnapshotError';
  }
}

/** Chunks that were added to a digest without a copy. */
export function keptAsTheyAre(chunks: readonly Uint8Array[]): KeptBytes {
  return { bytes: chunks, length: bytesIn(chunks), areCopies: false, release: () => undefined };
}
