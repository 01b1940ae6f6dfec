/**
 * The writers of this process. Only this code takes leases. So every request can see whether another one writes to an
 * upload, and the first lease after a crash recovers what the crash left.
 */
import type { UploadRecord } from '../catalog/catalog.ts';
import { createCatchUp } from './catch-up.ts';
import { createOpenWriters } from './open-writers.ts';
import type { Parts } from './parts.ts';
import { isUnpublished } from './recovery.ts';
import type { Arrival, Declared, Seat } from './seats.ts';
import type { Writer } from './writer.ts';

export interface Writers {
  /**
   * Waits for the lease on a receiving upload, and asks its holder to stop. Recovers the upload if need be.
   *
   * @param upload - its row, read before.
   * @throws LockError; what recovery throws.
   */
  open(upload: UploadRecord, options: { signal: AbortSignal }): Promise<Writer>;
  /** As `open`, where no request has the lease or waits for it; undefined otherwise. Never ends a transfer. */
  openIfFree(upload: UploadRecord): Promise<Writer | undefined>;
  /** Opens the writer of a new upload. @param create - creates its row, with this node as its holder. */
  begin(id: string, create: () => Promise<UploadRecord>): Promise<Writer>;
  /** Runs an upload whose bytes come at once, for which no writer is opened. */
  atOnce<T>(run: () => Promise<T>): Promise<T>;
  /** Whether this process receives any upload. */
  isReceiving(): boolean;
  /** Whether a lease is held in this process. */
  isHeld(id: string): boolean;
  /** Whether a request of this process holds the lease or waits for it. */
  isWanted(id: string): boolean;
  /** How long ago the last byte of the running request arrived at this process; Infinity where none has. */
  idleMs(id: string): number;
  /** The matching upload whose last byte arrived at this process most recently, and how long ago. */
  findLastArrival(isMeant: (upload: Declared) => boolean): Arrival | undefined;
  /** See `Uploads`. Its bytes may have arrived before a request on another connection that asks for the offset. */
  markConnection(): void;
  /** See `Uploads`. */
  markComing(id: string): () => void;
  /** Has the upload's writer, on whichever node, commit all bytes that have arrived. Waits for it, up to a limit. */
  catchUp(upload: UploadRecord): Promise<void>;
  /** Whether its writer has caught up recently and bytes keep coming: its sender is connected. */
  isKeptUp(id: string): boolean;
  /** Whether the upload has all its bytes and its writer, on whichever node, is publishing it. */
  isPublishing(upload: UploadRecord): Promise<boolean>;
  /** Resolves when the lease that this process holds is released; undefined where it holds none. */
  released(id: string): Promise<void> | undefined;
  /** Resolves when a node, whichever, reports that it has released the upload; after a second at the latest. */
  untilTold(id: string): Promise<void>;
  /** Whether the store may have something else of this upload, which nobody holds, than its row says. */
  needsRecovery(upload: UploadRecord): boolean;
  /** Records in the catalog, for other nodes, how long ago the last byte of each request came to which any has come since the last time. */
  noteArrivals(): Promise<void>;
}

/** A sender whose last byte came so recently counts as connected. */
const THERE_MS = 1_000;
/** How often a writer catches up while its sender is connected: in a bucket, each catch-up may store half a part. */
const CATCH_UP_EVERY_MS = 10_000;
/** Arrivals that one statement notes. */
const NOTED_AT_ONCE = 1_000;
/**
 * How long another node may take to commit what has arrived; after that the committed offset is told. Where notices do
 * not come, it is asked after a second (leases/words.ts), and finds that within two (leases/heartbeat.ts).
 */
const CATCH_UP_ELSEWHERE_MS = 4_000;

/** Prepares the writers. @param removeFile - deletes a published file; see files.ts. */
export function createWriters(parts: Parts, removeFile: (id: string, owner: string) => Promise<unknown>): Writers {
  const { leases } = parts;
  const seats = new Map<string, Seat>();
  /** How many uploads run whose bytes come at once. */
  let atOnce = 0;
  let notedAtMs = parts.surroundings.elapsedMs();
  const catching = createCatchUp(parts, parts.limits.lockTimeoutMs, (id) => seats.get(id));

  async function isPublishing(upload: UploadRecord): Promise<boolean> {
    const { id, phase } = upload;
    const seat = seats.get(id);
    if (seat) return seat.isPublishing || isUnpublished(upload);
    return (phase === 'publishing' || isUnpublished(upload)) && (await leases.isHeldElsewhere(upload));
  }

  async function catchUp(upload: UploadRecord): Promise<void> {
    const { id } = upload;
    const seat = seats.get(id);
    if (seat) seat.caughtUpAt = parts.surroundings.elapsedMs();
    await catching.catchUp(id);
    if (!seat && (await leases.isHeldElsewhere(upload))) await leases.catchUpElsewhere(upload, CATCH_UP_ELSEWHERE_MS);
  }

  leases.answer((id) => catching.catchUp(id));

  return {
    ...createOpenWriters(parts, seats, removeFile),
    atOnce: async (run) => {
      atOnce++;
      try {
        return await run();
      } finally {
        atOnce--;
      }
    },
    isReceiving: () => seats.size > 0 || atOnce > 0,
    isHeld: (id) => seats.has(id),
    isWanted: (id) => leases.isWanted(id),
    idleMs: (id) => seats.get(id)?.idleMs ?? Infinity,
    findLastArrival: (isMeant) => {
      let latest: Arrival | undefined;
      for (const { upload, idleMs } of seats.values()) {
        if (idleMs < (latest?.idleMs ?? Infinity) && isMeant(upload)) latest = { upload, idleMs };
      }
      return latest;
    },
    markConnection: () => catching.markConnection(),
    markComing: (id) => catching.markComing(id),
    catchUp,
    isKeptUp: (id) => {
      const seat = seats.get(id);
      if (!seat) return false;
      return seat.idleMs < THERE_MS && parts.surroundings.elapsedMs() - seat.caughtUpAt < CATCH_UP_EVERY_MS;
    },
    isPublishing,
    released: (id) => seats.get(id)?.released,
    untilTold: (id) => leases.untilTold(id),
    needsRecovery: (upload) => leases.needsRecovery(upload),
    noteArrivals: async () => {
      const nowMs = parts.surroundings.elapsedMs();
      const sinceMs = nowMs - notedAtMs;
      notedAtMs = nowMs;
      const arrivals = [...seats.values()]
        .filter(({ idleMs }) => idleMs <= sinceMs)
        .map(({ upload: { id }, epoch, idleMs }) => ({ id, epoch, idleMs }));
      for (let start = 0; start < arrivals.length; start += NOTED_AT_ONCE) {
        await parts.catalog.noteArrivals(arrivals.slice(start, start + NOTED_AT_ONCE));
      }
    },
  };
}
