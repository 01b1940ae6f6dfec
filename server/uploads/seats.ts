/** Who writes in this process: so that everything that looks at an upload knows whether someone is at it. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Flush } from '../../stores/store.ts';
import type { Clock } from '../clock.ts';
import { shared } from './catch-up.ts';

/** What an upload is of. */
export type Declared = Pick<UploadRecord, 'id' | 'owner' | 'md5' | 'sha256' | 'size'>;

/** A writer as others in this process see it, from the moment it has the lease until it gives it back. */
export interface Seat {
  readonly upload: Declared;
  /** Resolves when the lease is released. */
  readonly released: Promise<void>;
  /** Has it commit all that has come, once it reads its source. */
  readonly flush: Flush | undefined;
  /** When its last byte came, by the clock that does not jump: 0 where none has. A bucket commits it later. */
  readonly lastArrivalAt: number;
  /** When it was last asked to catch up. */
  caughtUpAt: number;
  /** The upload has all its bytes, and is being published. */
  readonly isPublishing: boolean;
  /** Bytes came. */
  markArrival(): void;
  /** It reads its source now. */
  markReading(flush: Flush): void;
  /** A deferred length was declared, or withdrawn. */
  markLength(size: number | null): void;
  /** What is remembered of the upload does not hold any more: it has ended, or a write failed half-way. */
  forget(): void;
  /** Runs a publication; what is remembered of the upload does not hold after it. */
  publishing<T>(publication: () => Promise<T>): Promise<T>;
  /** Gives the seat up. */
  leave(): void;
}

export interface Arrival {
  upload: Declared;
  /** By the clock that does not jump. */
  at: number;
}

/** @param forget - forgets what is remembered of an upload. */
export function createSeat(
  { id, owner, md5, sha256, size }: Declared,
  clock: Pick<Clock, 'steady'>,
  forget: (id: string) => void,
): Seat {
  let markReleased: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (markReleased = resolve));
  const upload = { id, owner, md5, sha256, size };
  let flush: Flush | undefined;
  let lastArrivalAt = 0;
  let isPublishing = false;

  return {
    upload,
    released,
    caughtUpAt: -Infinity,
    get flush() {
      return flush;
    },
    get lastArrivalAt() {
      return lastArrivalAt;
    },
    get isPublishing() {
      return isPublishing;
    },
    markArrival: () => {
      lastArrivalAt = clock.steady();
    },
    markReading: (given) => {
      flush = shared(given);
    },
    markLength: (length) => {
      upload.size = length;
    },
    forget: () => forget(id),
    publishing: async (publication) => {
      isPublishing = true;
      try {
        return await publication();
      } finally {
        isPublishing = false;
        forget(id);
      }
    },
    leave: markReleased,
  };
}
