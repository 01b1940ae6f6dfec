/**
 * Leases: who may write to an upload. One holder at a time; the next request asks the holder to stop and waits in
 * line. Who holds it stands in the upload's row, so that all nodes agree; lines and wakes within this process are only
 * what makes it quick.
 *
 * What must hold:
 * - At most one live lease per upload; its epoch is greater than that of every lease before it, across restarts and nodes.
 * - A waiter causes `onAsked` of the holder as soon as it queues: in this process once per waiter, of another node at
 *   least once. Words between nodes may be lost: the ask of a waiter that heard none for a second stands in the catalog, where
 *   the holder's node finds it with its next heartbeat.
 * - Waiters of one process are served in the order they came; a waiter whose signal is aborted leaves the line.
 * - Waiting costs no CPU: a wake ends it. As wakes may be lost, a waiter for another node's lease looks again now and then.
 * - A request that only looks takes no lease.
 */
import type { UploadRecord } from '../catalog/catalog.ts';

export interface Leases {
  /** This process among the nodes. */
  readonly node: string;
  /**
   * Waits for the lease on a receiving upload. One that has ended by then needs none: its row is handed over as it is.
   *
   * @param seen - the upload's row, read before.
   * @throws LockError `timeout` when the holder kept it for `timeoutMs`, `aborted` when `signal` was, `missing` when
   *   there is no such upload any more, `closed`.
   */
  take(seen: UploadRecord, options: TakeOptions): Promise<Lease>;
  /** The lease, where nobody has it or waits for it in this process, and no live node has it; else undefined. */
  takeIfFree(seen: UploadRecord, options: Pick<TakeOptions, 'onAsked'>): Promise<Lease | undefined>;
  /**
   * The lease on an upload that is held from its first moment on.
   *
   * @param create - makes its row, whose holder is this node.
   */
  begin(id: string, create: () => Promise<UploadRecord>, options: Pick<TakeOptions, 'onAsked'>): Promise<Lease>;
  /** Whether somebody in this process has the lease or waits for it. */
  isWanted(id: string): boolean;
  /** Whether another node that lives has the lease. */
  isHeldElsewhere(row: UploadRecord): Promise<boolean>;
  /** Whether the store may have something else than the row says, once nobody holds the upload. */
  needsRecovery(row: UploadRecord): boolean;
  /** Has the other node that holds the upload commit all that has come to it, and waits for that, but not for ever. */
  catchUpElsewhere(row: UploadRecord, mostMs: number): Promise<void>;
  /** Resolves when a node tells something of the upload, and after a second at the latest, as its word may be lost. */
  untilTold(id: string): Promise<void>;
  /** Answers what other nodes have asked this one in the catalog, as notices did not come. To be called with each heartbeat. */
  takeAsks(): Promise<void>;
  /** What this process does when another node wants to know what has come; resolves when it is committed. */
  answer(commit: (id: string) => Promise<void>): void;
  /** This node was taken for dead: other nodes may hold its leases by now. */
  loseAll(): void;
  /** Gives back the leases that could not be given back before: to be called whenever the catalog answers. Never throws. */
  giveBackLeft(): Promise<void>;
  /** Refuses new leases; those held stay valid until released. */
  close(): Promise<void>;
}

export interface TakeOptions {
  signal: AbortSignal;
  timeoutMs: number;
  /**
   * Called while this lease is held and another request waits for it: finish quickly and release. Where one waits
   * already, it comes just before `take` resolves. Must not throw.
   */
  onAsked: () => void;
}

/**
 * How a lease is released: `recovered`, the row tells all that the store has; `unrecovered`, the store may have more;
 * `ended`, the upload is not receiving any more.
 */
export type LeftAs = 'recovered' | 'unrecovered' | 'ended';

export interface Lease {
  readonly uploadId: string;
  /** Checked in the transaction that commits an offset. */
  readonly epoch: number;
  /** The upload's row, as it is under this lease. */
  readonly upload: UploadRecord;
  /** Whether the store may have something else than the row says. */
  readonly needsRecovery: boolean;
  /** Releases it. Can be called again. */
  release(left: LeftAs): Promise<void>;
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
