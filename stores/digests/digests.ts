/**
 * Running digests whose state can be saved at an offset and resumed from there,
 * computed off the main thread.
 */

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

/** One running digest. */
export interface DigestLane {
  /**
   * Adds bytes, in the order of the calls. Resolves once they are copied and there is room for more. Callers have to
   * wait for it, which bounds memory; until then the chunks must not change.
   */
  update(chunks: readonly Uint8Array[]): Promise<void>;
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
