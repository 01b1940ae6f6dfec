/** Who writes in this process: so that everything that looks at an upload knows whether someone is at it. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Flush } from '../../stores/store.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { LeftAs } from '../leases/leases.ts';
import { shared } from './catch-up.ts';

/** What an upload is of. */
export type Declared = Pick<UploadRecord, 'id' | 'owner' | 'md5' | 'sha256' | 'size'>;
/** An upload under a lease. */
type Leased = Declared & Pick<UploadRecord, 'epoch'>;

/** A writer as others in this process see it, from the moment it has the lease until it gives it back. */
export interface Seat {
  readonly upload: Declared;
  /** Of its lease. */
  readonly epoch: number;
  /** How its lease is to be given back. */
  readonly left: LeftAs;
  /** Resolves when the lease is released. */
  readonly released: Promise<void>;
  /** Has it commit all that has come, once it reads its source. */
  readonly flush: Flush | undefined;
  /** How long ago its last byte came, in whole milliseconds: Infinity where none has. A bucket commits it later. */
  readonly idleMs: number;
  /** When it was last asked to catch up, by `elapsedMs`. */
  caughtUpAt: number;
  /** The upload has all its bytes, and is being published. */
  readonly isPublishing: boolean;
  /** Bytes came. */
  markArrival(): void;
  /** It reads its source now. */
  markReading(flush: Flush): void;
  /** A deferred length was declared, or withdrawn. */
  markLength(size: number | null): void;
  /** The row tells all that the store has; or, where a write failed half-way, the store may have more; or it has ended. */
  markLeft(left: LeftAs): void;
  /** Runs a publication. */
  publishing<T>(publication: () => Promise<T>): Promise<T>;
  /** Gives the seat up. */
  leave(): void;
}

export interface Arrival {
  upload: Declared;
  /** How long ago. */
  idleMs: number;
}

export function createSeat(
  { id, owner, md5, sha256, size, epoch }: Leased,
  surroundings: Pick<Surroundings, 'elapsedMs'>,
  left: LeftAs,
): Seat {
  let markReleased: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (markReleased = resolve));
  const upload = { id, owner, md5, sha256, size };
  let flush: Flush | undefined;
  let lastArrivalAt = -Infinity;
  let isPublishing = false;

  return {
    upload,
    epoch,
    released,
    caughtUpAt: -Infinity,
    get left() {
      return left;
    },
    get flush() {
      return flush;
    },
    get idleMs() {
      return Math.round(surroundings.elapsedMs() - lastArrivalAt);
    },
    get isPublishing() {
      return isPublishing;
    },
    markArrival: () => {
      lastArrivalAt = surroundings.elapsedMs();
    },
    markReading: (given) => {
      flush = shared(given);
    },
    markLength: (length) => {
      upload.size = length;
    },
    markLeft: (how) => {
      left = how;
    },
    publishing: async (publication) => {
      isPublishing = true;
      left = 'unrecovered';
      try {
        const result = await publication();
        left = 'ended';
        return result;
      } finally {
        isPublishing = false;
      }
    },
    leave: markReleased,
  };
}
