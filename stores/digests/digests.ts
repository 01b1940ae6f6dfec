/**
 * Running digests whose state can be saved at an offset and resumed from there,
 * computed off the main thread.
 */

export const DIGEST_ALGORITHMS = ['md5', 'sha1', 'sha256'] as const;
export type DigestAlgorithm = (typeof DIGEST_ALGORITHMS)[number];

/** Digests by algorithm, lower-case hex: of those the lane was opened with. */
export type DigestSet = Partial<Record<DigestAlgorithm, string>>;

export interface DigestPool {
  readonly algorithms: readonly DigestAlgorithm[];
  /**
   * Begins a digest, or resumes one from a snapshot. A resumed digest keeps
   * the snapshot's algorithms. A snapshot that cannot be resumed shows as a
   * SnapshotError from the lane's `snapshot` and `digests`.
   *
   * @param algorithms - of a new digest; the pool's by default.
   */
  open(snapshot: Uint8Array | null, algorithms?: readonly DigestAlgorithm[]): DigestLane;
  close(): Promise<void>;
}

export interface DigestLane {
  /**
   * Adds bytes, in the order of the calls. Resolves once they are copied and there
   * is room for more: awaiting it bounds memory, and until then the chunks must
   * not change.
   */
  update(chunks: readonly Uint8Array[]): Promise<void>;
  /**
   * From here on the MD5 of what is added is computed by itself, too, as long as no other part
   * is begun; together both cost little more than one.
   */
  beginPart(): void;
  /** Adds bytes to the part alone: those that the lane had before. */
  updatePart(chunks: readonly Uint8Array[]): Promise<void>;
  /** MD5 of the part so far, lower-case hex. Only after `beginPart`. */
  partMd5(): Promise<string>;
  /** State after everything added so far, without the part. */
  snapshot(): Promise<Uint8Array>;
  /** Digests of everything added so far; the lane stays usable. */
  digests(): Promise<DigestSet>;
  /** Forgets the lane. */
  close(): void;
}

/** The saved state is damaged, or of another version of the digest library. */
export class SnapshotError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SnapshotError';
  }
}
