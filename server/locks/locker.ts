/**
 * The locker: who may write to an upload. One holder at a time; whoever comes
 * next asks the holder to stop and waits in line.
 *
 * What must hold:
 * - At most one live lease per upload; its epoch is greater than that of every
 *   lease before it, across restarts and nodes.
 * - A waiter causes `onAsked` of the holder, once per waiter, as soon as it queues.
 * - Waiters are served in the order they came; a waiter whose signal is aborted
 *   leaves the line.
 * - Waiting costs no CPU: no polling.
 */
export interface Locker {
  /**
   * Waits for the lease on upload `id`.
   *
   * @throws LockError `timeout` when the holder kept it for `timeoutMs`,
   *   `aborted` when `signal` was, `missing` when there is no such upload.
   */
  acquire(id: string, options: AcquireOptions): Promise<Lease>;
  /** Refuses new leases; those held stay valid until released. */
  close(): Promise<void>;
}

export interface AcquireOptions {
  signal: AbortSignal;
  timeoutMs: number;
  /**
   * The epoch the upload was created with, when the caller knows that no lease has had it:
   * the lease may take it instead of raising the upload's epoch.
   */
  unusedEpoch?: number;
  /**
   * Called while this lease is held and another request waits for it: finish quickly and
   * release. Where one waits already, it comes just before `acquire` resolves. Must not throw.
   */
  onAsked: () => void;
}

export interface Lease {
  readonly uploadId: string;
  /** Checked in the transaction that commits an offset. */
  readonly epoch: number;
  release(): Promise<void>;
}

export type LockErrorCode = 'timeout' | 'aborted' | 'missing' | 'closed';

export class LockError extends Error {
  readonly code: LockErrorCode;

  constructor(code: LockErrorCode, uploadId: string) {
    super(`lease on upload ${uploadId}: ${code}`);
    this.name = 'LockError';
    this.code = code;
  }
}
