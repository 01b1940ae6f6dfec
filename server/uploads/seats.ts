/** Seats: which uploads have a writer in this process, and what other requests may know of it. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Flush } from '../../stores/store.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { LeftAs } from '../leases/leases.ts';
import { shared } from './catch-up.ts';

/** What identifies an upload and the content that it is meant to become. */
export type Declared = Pick<UploadRecord, 'id' | 'owner' | 'md5' | 'sha256' | 'size' | 'linkId'>;
/** An upload under a lease. */
type Leased = Declared & Pick<UploadRecord, 'epoch'>;

/** A writer as other requests of this process see it, from the moment it has the lease until it releases it. */
export interface Seat {
  readonly upload: Declared;
  /** Of its lease. */
  readonly epoch: number;
  /** How the lease is to be released. */
  readonly left: LeftAs;
  /** Resolves when the lease is released. */
  readonly released: Promise<void>;
  /** Has the writer commit all bytes that have arrived; undefined until it reads its source. */
  readonly flush: Flush | undefined;
  /** How long ago its last byte arrived, in whole milliseconds; Infinity where none has. The store may commit it much later. */
  readonly idleMs: number;
  /** When it was last asked to catch up, by `elapsedMs`. */
  caughtUpAt: number;
  /** The upload has all its bytes, and is being published. */
  readonly isPublishing: boolean;
  /** Notes that bytes have arrived. */
  markArrival(): void;
  /** Notes that the writer reads its source now. */
  markReading(flush: Flush): void;
  /** Notes that a deferred length was declared, or withdrawn (null). */
  markLength(size: number | null): void;
  /** Notes how the lease is to be released; see `LeftAs`. */
  markLeft(left: LeftAs): void;
  /** Runs a publication, during which `isPublishing` is true. */
  publishing<T>(publication: () => Promise<T>): Promise<T>;
  /** Resolves `released`. */
  leave(): void;
}

/** An upload of this process, and when its last byte arrived. */
export interface Arrival {
  upload: Declared;
  /** How long ago. */
  idleMs: number;
}

/** The seat of a new writer. @param left - how the lease is to be released until a mark says otherwise. */
export function createSeat(
  { id, owner, md5, sha256, size, linkId, epoch }: Leased,
  surroundings: Pick<Surroundings, 'elapsedMs'>,
  left: LeftAs,
): Seat {
  let markReleased: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (markReleased = resolve));
  const upload = { id, owner, md5, sha256, size, linkId };
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
