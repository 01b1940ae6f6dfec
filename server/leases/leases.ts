/**
 * Leases: who may write to an upload. One holder at a time; the next request asks the holder to stop and waits in
 * line. The upload's row says who holds it, so that all nodes agree; lines and wakes within a process only make it quick.
 *
 * What must hold:
 * - At most one live lease per upload; its epoch is greater than that of every lease before it, across restarts and nodes.
 * - A waiter causes `onAsked` of the holder as soon as it queues: in this process once per waiter, of another node at
 *   least once. Messages between nodes may be lost: a waiter that hears nothing for a second writes its request into the
 *   catalog, where the holder's node reads it with its next heartbeat.
 * - Waiters of one process are served in the order they came; a waiter whose signal is aborted leaves the line.
 * - Waiting costs no CPU: a wake ends it. As wakes may be lost, a waiter for another node's lease checks again every second.
 * - A request that only reads takes no lease.
 */
import type { UploadRecord } from '../catalog/catalog.ts';

/** The leases as one node sees them. */
export interface Leases {
  /** The id of this node. */
  readonly node: string;
  /**
   * Waits for the lease on a receiving upload. If the upload has ended by then, resolves with its row, without taking a lease.
   *
   * @param seen - the upload's row, read before.
   * @throws LockError `timeout` when the holder kept it for `timeoutMs`, `aborted` when `signal` was, `missing` when
   *   the upload does not exist any more, `closed` after `close`.
   */
  take(seen: UploadRecord, options: TakeOptions): Promise<Lease>;
  /** Takes the lease if no request of this process has it or waits for it, and no live node has it; else undefined. */
  takeIfFree(seen: UploadRecord, options: Pick<TakeOptions, 'onAsked'>): Promise<Lease | undefined>;
  /**
   * Takes the lease on a new upload.
   *
   * @param create - creates its row with this node as the holder.
   */
  begin(id: string, create: () => Promise<UploadRecord>, options: Pick<TakeOptions, 'onAsked'>): Promise<Lease>;
  /**
   * Keeps all other requests of this process from an upload that no request of it has or waits for, without writing it into
   * the row: enough where no other node shares the catalog, for a write of which the row says nothing before its end.
   *
   * @returns a function that lets the others come; undefined where a request has the upload, or waits for it.
   */
  keepOthersOut(id: string): (() => void) | undefined;
  /** Whether a request of this process has the lease or waits for it. */
  isWanted(id: string): boolean;
  /** Whether another live node has the lease. */
  isHeldElsewhere(row: UploadRecord): Promise<boolean>;
  /** For an upload that nobody holds: whether the store's state may differ from the row. */
  needsRecovery(row: UploadRecord): boolean;
  /** Asks the other node that holds the upload to commit the bytes it has received. Waits for that, at most `mostMs`. */
  catchUpElsewhere(row: UploadRecord, mostMs: number): Promise<void>;
  /** Resolves when a node sends a message about the upload, and after a second at the latest, as messages may be lost. */
  untilTold(id: string): Promise<void>;
  /** Answers requests that other nodes wrote into the catalog because notices did not arrive. To be called with each heartbeat. */
  takeAsks(): Promise<void>;
  /** Sets how this process commits the bytes it has received of an upload, when another node asks for that. */
  answer(commit: (id: string) => Promise<void>): void;
  /** Asks all holders of this process to stop: this node counted as dead, and other nodes may hold its leases by now. */
  loseAll(): void;
  /** Releases the leases whose release failed before: to be called whenever the catalog answers. Never throws. */
  giveBackLeft(): Promise<void>;
  /** Refuses new leases; those held stay valid until released. */
  close(): Promise<void>;
}

/** How a request waits for a lease. */
export interface TakeOptions {
  signal: AbortSignal;
  timeoutMs: number;
  /**
   * Called while this lease is held and another request waits for it: finish quickly and release. If a request waits
   * already, it is called just before `take` resolves. Must not throw.
   */
  onAsked: () => void;
}

/**
 * How a lease is released: `recovered`, the row describes all that the store has; `unrecovered`, the store may have more;
 * `ended`, the upload is not receiving any more.
 */
export type LeftAs = 'recovered' | 'unrecovered' | 'ended';

/** The right to write to one upload. */
export interface Lease {
  readonly uploadId: string;
  /** Checked in the transaction that commits an offset. */
  readonly epoch: number;
  /** The upload's row, as it is under this lease. */
  readonly upload: UploadRecord;
  /** Whether the store's state may differ from the row. */
  readonly needsRecovery: boolean;
  /** Releases the lease. Further calls have no effect. */
  release(left: LeftAs): Promise<void>;
}

/** Why a request did not get a lease; see `Leases.take`. */
export type LockErrorCode = 'timeout' | 'aborted' | 'missing' | 'closed';

/** A lease that was not taken. */
export class LockError extends Error {
  readonly code: LockErrorCode;

  constructor(code: LockErrorCode, uploadId: string) {
    super(`lease on upload ${uploadId}: ${code}`);
    this.name = 'LockError';
    this.code = code;
  }
}
