/**
 * The writers of this process: leases are taken here, so that everything that looks at an upload knows whether
 * someone is at it, and so that the first lease after a crash recovers what the crash left.
 */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Lease } from '../locks/locker.ts';
import { createCatchUp } from './catch-up.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { recover } from './recover.ts';
import { type Arrival, createSeat, type Declared, type Seat } from './seats.ts';
import { linkSignals } from './signals.ts';
import { createWriter, type Writer } from './writer.ts';

export interface Writers {
  /**
   * Waits for the lease on a receiving upload, and asks its holder to stop. Recovers the upload if need be.
   *
   * @param upload - its row, read before.
   * @throws LockError; what recovery throws.
   */
  open(upload: UploadRecord, options: { signal: AbortSignal }): Promise<Writer>;
  /** Whether a lease is held in this process. */
  isHeld(id: string): boolean;
  /** Whether a lease is held in this process, or asked for. */
  isWanted(id: string): boolean;
  /** When the last byte came of the PATCH that runs in this process: 0 where none came. A bucket commits it later. */
  lastArrivalAt(id: string): number;
  /** The matching upload whose last byte came to this process most recently, and when. */
  findLastArrival(isMeant: (upload: Declared) => boolean): Arrival | undefined;
  /** A connection was accepted: what it brings may have come before what is asked now. */
  markConnection(): void;
  /** A request that may write to the upload has come; to be told when it writes, or has ended. */
  markComing(id: string): () => void;
  /** Has the writer in this process, if any, commit all that has come by now, and waits for it, but not for ever. */
  catchUp(id: string): Promise<void>;
  /** Whether its writer has caught up a moment ago, and bytes come all the time: its sender is there. */
  isKeptUp(id: string): boolean;
  /** Whether the upload has all its bytes and its writer is publishing it. */
  isPublishing(id: string): boolean;
  /** Resolves when the lease now held in this process, if any, is released. */
  released(id: string): Promise<void>;
  /** Whether what the store has of this upload may differ from its row. */
  needsRecovery(upload: Pick<UploadRecord, 'id' | 'epoch'>): boolean;
  /** The upload was just created: the catalog has it right, and nobody has had its epoch. */
  markCreated(upload: UploadRecord): void;
  /** What is remembered of the upload does not hold any more. */
  forget(id: string): void;
}

/** What this process remembers of an upload: store and row agree, for as long as nobody else has had a lease. */
interface Remembered {
  /** Of the last lease, or the one the upload was created with. */
  epoch: number;
  /** No lease has had this epoch yet. */
  isUnused: boolean;
}

/** A sender whose last byte came so lately is taken to be there. */
const THERE_MS = 1_000;
/** Into a bucket each catching up may store half a part. */
const CATCH_UP_EVERY_MS = 10_000;

/** @param removeFile - deletes a published file; see files.ts. */
export function createWriters(parts: Parts, removeFile: (id: string, owner: string) => Promise<unknown>): Writers {
  const seats = new Map<string, Seat>();
  const catching = createCatchUp(parts, parts.limits.lockTimeoutMs, (id) => seats.get(id));
  /** How many requests ask for a lease now, by upload. */
  const wanted = new Map<string, number>();
  const remembered = new Map<string, Remembered>();

  async function open(upload: UploadRecord, options: { signal: AbortSignal }): Promise<Writer> {
    const { id } = upload;
    const asked = new AbortController();
    const unused = takeUnusedEpoch(id);
    const { lease, seat } = await whileWanted(id, async () => {
      const taken = await parts.locker.acquire(id, {
        signal: options.signal,
        timeoutMs: parts.limits.lockTimeoutMs,
        ...(unused === undefined ? {} : { unusedEpoch: unused }),
        onAsked: () => asked.abort(new TidemarkError('upload_taken_over')),
      });
      return sit(upload, taken);
    });
    try {
      // Where nobody has had a lease since it was created its row is as it was.
      const row = unused === undefined ? await settle(upload, lease, seat, [options.signal, asked.signal]) : upload;
      if (row.state === 'receiving') remembered.set(id, { epoch: lease.epoch, isUnused: false });
      return createWriter({ parts, upload: row, lease, seat, asked: asked.signal, removeFile });
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  /** The upload's row under the lease, once it agrees with what the store durably has. */
  async function settle(
    { id }: UploadRecord,
    lease: Lease,
    seat: Seat,
    signals: readonly AbortSignal[],
  ): Promise<UploadRecord> {
    const known = remembered.get(id);
    // A lease of another process in between has raised the epoch further.
    if (known?.epoch !== lease.epoch - 1) {
      const { signal, unlink } = linkSignals(...signals, parts.stopping);
      await recover(parts, id, lease, seat, signal).finally(unlink);
    }
    const row = await parts.catalog.findUpload(id);
    if (!row) throw new TidemarkError('not_found');
    return row;
  }

  function takeUnusedEpoch(id: string): number | undefined {
    const known = remembered.get(id);
    if (!known?.isUnused) return undefined;
    known.isUnused = false;
    return known.epoch;
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

  function sit(upload: Declared, lease: Lease): { lease: Lease; seat: Seat } {
    const { id } = upload;
    const seat = createSeat(upload, parts.clock, forget);
    seats.set(id, seat);
    async function release(): Promise<void> {
      if (seats.get(id) === seat) seats.delete(id);
      await lease.release();
      seat.leave();
    }
    return { lease: { ...lease, release }, seat };
  }

  function forget(id: string): void {
    remembered.delete(id);
  }

  return {
    open,
    isHeld: (id) => seats.has(id),
    isWanted: (id) => seats.has(id) || wanted.has(id),
    lastArrivalAt: (id) => seats.get(id)?.lastArrivalAt ?? 0,
    findLastArrival: (isMeant) => {
      let latest: Arrival | undefined;
      for (const { upload, lastArrivalAt: at } of seats.values()) {
        if (at > (latest?.at ?? 0) && isMeant(upload)) latest = { upload, at };
      }
      return latest;
    },
    markConnection: () => catching.markConnection(),
    markComing: (id) => catching.markComing(id),
    catchUp: (id) => {
      const seat = seats.get(id);
      if (seat) seat.caughtUpAt = parts.clock.steady();
      return catching.catchUp(id);
    },
    isKeptUp: (id) => {
      const { lastArrivalAt, caughtUpAt } = seats.get(id) ?? { lastArrivalAt: 0, caughtUpAt: 0 };
      const now = parts.clock.steady();
      return now - lastArrivalAt < THERE_MS && now - caughtUpAt < CATCH_UP_EVERY_MS;
    },
    isPublishing: (id) => seats.get(id)?.isPublishing ?? false,
    released: async (id) => seats.get(id)?.released,
    // A row that was read before the last lease here tells nothing of what came after.
    needsRecovery: ({ id, epoch }) => (remembered.get(id)?.epoch ?? -1) < epoch,
    markCreated: ({ id, epoch }) => {
      remembered.set(id, { epoch, isUnused: true });
    },
    forget,
  };
}
