/**
 * Who writes in this process: leases are handed out here, so that everything that
 * looks at an upload knows whether someone is at it, and so that whoever gets the
 * first lease after a crash takes up what the crash left.
 */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Lease } from '../locks/locker.ts';
import { CatalogError } from '../catalog/catalog.ts';
import { type Flush, StoreError } from '../../stores/store.ts';
import { createCatchUp, shared } from './catch-up.ts';
import { TidemarkError } from './errors.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import type { Parts } from './parts.ts';
import { linkSignals } from './signals.ts';

export interface Writers {
  /** Waits for the lease on a receiving upload; asks its holder to stop. Recovers the upload if need be. */
  acquire(upload: UploadRecord, options: { signal: AbortSignal; onAsked: () => void }): Promise<Lease>;
  /** Whether a lease is held in this process. */
  isHeld(id: string): boolean;
  /** Whether a lease is held in this process, or asked for. */
  isWanted(id: string): boolean;
  /** When the last byte came of the PATCH that runs in this process: 0 where none came. A bucket commits it later. */
  lastArrivalAt(id: string): number;
  /** The upload, of those that are meant, whose last byte came latest in this process, and when. */
  findLastArrival(isMeant: (upload: Declared) => boolean): Arrival | undefined;
  /** Bytes came, under the lease held in this process. */
  markArrival(id: string): void;
  /** A connection was accepted: what it brings may have come before what is asked now. */
  markConnection(): void;
  /** A request that may write to the upload has come; to be told when it writes, or has ended. */
  markComing(id: string): () => void;
  /** The holder of the lease reads its source. */
  markReading(id: string, flush: Flush): void;
  /** Has whoever writes in this process commit all that has come by now, and waits for it, but not for ever. */
  catchUp(id: string): Promise<void>;
  /** Whether its writer has caught up a moment ago, and bytes come all the time: its sender is there. */
  isKeptUp(id: string): boolean;
  /** Whether the upload has all its bytes and its writer is publishing it. */
  isPublishing(id: string): boolean;
  /** Runs a publication, by the holder of the lease; what was known of the upload does not hold after it. */
  publishing<T>(id: string, publication: () => Promise<T>): Promise<T>;
  /** Resolves when the lease now held in this process, if any, is released. */
  released(id: string): Promise<void>;
  /** Whether what the store has of this upload may differ from the catalog. */
  needsRecovery(id: string): boolean;
  /** A deferred length was declared, or withdrawn, under the lease held in this process. */
  markLength(id: string, size: number | null): void;
  /** The upload was just created: the catalog has it right, and nobody has had its epoch. */
  markCreated(upload: UploadRecord): void;
  /** The upload may be ahead of the catalog: a write failed half-way. */
  markUnsettled(id: string): void;
  /** The upload has ended. */
  forget(id: string): void;
}

/** What an upload is of. */
export type Declared = Pick<UploadRecord, 'id' | 'owner' | 'md5' | 'sha256' | 'size'>;

interface Held {
  upload: Declared;
  released: Promise<void>;
  /** Once it reads its source. */
  flush?: Flush;
  lastArrivalAt: number;
  /** When it was last asked to catch up. */
  caughtUpAt: number;
}

/** A sender whose last byte came so lately is taken to be there. */
const THERE_MS = 1_000;
/** Into a bucket each catching up may store half a part. */
const CATCH_UP_EVERY_MS = 10_000;

export interface Arrival {
  upload: Declared;
  /** By the clock that does not jump. */
  at: number;
}

export function createWriters(parts: Parts): Writers {
  const held = new Map<string, Held>();
  const catching = createCatchUp(parts, parts.limits.lockTimeoutMs, (id) => held.get(id));
  /** How many requests ask for a lease now, by upload. */
  const wanted = new Map<string, number>();
  const settled = new Set<string>();
  const publications = new Set<string>();
  /** Epochs that uploads were created with, until the first lease. */
  const unusedEpochs = new Map<string, number>();

  async function acquire(upload: UploadRecord, options: { signal: AbortSignal; onAsked: () => void }): Promise<Lease> {
    const asked = new AbortController();
    let recovering = true;
    const unusedEpoch = unusedEpochs.get(upload.id);
    unusedEpochs.delete(upload.id);
    const tracked = await whileWanted(upload.id, async () =>
      track(
        upload,
        await parts.locker.acquire(upload.id, {
          signal: options.signal,
          timeoutMs: parts.limits.lockTimeoutMs,
          ...(unusedEpoch === undefined ? {} : { unusedEpoch }),
          onAsked: () => {
            if (recovering) asked.abort(new TidemarkError('upload_taken_over'));
            options.onAsked();
          },
        }),
      ),
    );
    try {
      if (!settled.has(upload.id)) {
        const { signal, unlink } = linkSignals(options.signal, parts.stopping, asked.signal);
        await recover(upload.id, tracked, signal).finally(unlink);
      }
    } catch (error) {
      await tracked.release();
      throw error;
    } finally {
      recovering = false;
    }
    return tracked;
  }

  async function whileWanted<T>(id: string, action: () => Promise<T>): Promise<T> {
    wanted.set(id, (wanted.get(id) ?? 0) + 1);
    try {
      return await action();
    } finally {
      const others = (wanted.get(id) ?? 0) - 1;
      if (others > 0) wanted.set(id, others);
      else wanted.delete(id);
    }
  }

  function track(upload: UploadRecord, lease: Lease): Lease {
    let markReleased: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (markReleased = resolve));
    const { id, owner, md5, sha256, size } = upload;
    const entry: Held = { upload: { id, owner, md5, sha256, size }, released, lastArrivalAt: 0, caughtUpAt: -Infinity };
    held.set(lease.uploadId, entry);
    return {
      uploadId: lease.uploadId,
      epoch: lease.epoch,
      release: async () => {
        if (held.get(lease.uploadId) === entry) held.delete(lease.uploadId);
        await lease.release();
        markReleased();
      },
    };
  }

  /** Brings the catalog up to what the store durably has. */
  async function recover(id: string, lease: Lease, signal: AbortSignal): Promise<void> {
    const upload = await parts.catalog.findUpload(id);
    if (upload?.state !== 'receiving') return;
    try {
      const found = await parts.store.recoverUpload(upload, parts.digests, signal);
      if (found) {
        const { wholeSize, ...commit } = found;
        const committed = await parts.catalog.commitOffset({
          id,
          epoch: lease.epoch,
          ...commit,
          lastByteAt: upload.lastByteAt,
          expiresAt: parts.clock.latest() + parts.limits.uploadTtlMs,
        });
        if (!committed) throw new TidemarkError('upload_taken_over');
        if (wholeSize !== undefined && upload.size === null) await recoverLength(id, lease, wholeSize);
        parts.log.info({ uploadId: id, from: upload.offset, to: found.offset }, 'upload recovered');
      }
      settled.add(id);
    } catch (error) {
      if (error instanceof StoreError && error.code === 'missing') {
        await endWithoutBytes(parts, id, lease.epoch, error);
      }
      if (error instanceof CatalogError && error.code === 'full') {
        throw new TidemarkError('store_full', { cause: error });
      }
      throw error;
    }
  }

  /** A length that was declared, and lost in a power cut. */
  async function recoverLength(id: string, lease: Lease, size: number): Promise<void> {
    if (!(await parts.catalog.declareLength(id, lease.epoch, size))) throw new TidemarkError('upload_taken_over');
    markLength(id, size);
  }

  function markLength(id: string, size: number): void {
    const entry = held.get(id);
    if (entry) entry.upload.size = size;
  }

  function forget(id: string): void {
    settled.delete(id);
    unusedEpochs.delete(id);
  }

  return {
    acquire,
    isHeld: (id) => held.has(id),
    isWanted: (id) => held.has(id) || wanted.has(id),
    lastArrivalAt: (id) => held.get(id)?.lastArrivalAt ?? 0,
    findLastArrival: (isMeant) => {
      let latest: Arrival | undefined;
      for (const { upload, lastArrivalAt: at } of held.values()) {
        if (at > (latest?.at ?? 0) && isMeant(upload)) latest = { upload, at };
      }
      return latest;
    },
    markArrival: (id) => {
      const entry = held.get(id);
      if (entry) entry.lastArrivalAt = parts.clock.steady();
    },
    markLength,
    markConnection: () => catching.markConnection(),
    markComing: (id) => catching.markComing(id),
    markReading: (id, flush) => {
      const entry = held.get(id);
      if (entry) entry.flush = shared(flush);
    },
    catchUp: (id) => {
      const entry = held.get(id);
      if (entry) entry.caughtUpAt = parts.clock.steady();
      return catching.catchUp(id);
    },
    isKeptUp: (id) => {
      const { lastArrivalAt, caughtUpAt } = held.get(id) ?? { lastArrivalAt: 0, caughtUpAt: 0 };
      const now = parts.clock.steady();
      return now - lastArrivalAt < THERE_MS && now - caughtUpAt < CATCH_UP_EVERY_MS;
    },
    isPublishing: (id) => publications.has(id),
    publishing: async (id, publication) => {
      publications.add(id);
      try {
        return await publication();
      } finally {
        publications.delete(id);
        forget(id);
      }
    },
    released: async (id) => held.get(id)?.released,
    needsRecovery: (id) => !settled.has(id),
    markCreated: ({ id, epoch }) => {
      settled.add(id);
      unusedEpochs.set(id, epoch);
    },
    markUnsettled: (id) => {
      settled.delete(id);
    },
    forget,
  };
}
