/** Opens writers: takes the lease, enters a seat for other requests to see, and recovers what a crash left of the upload. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Lease } from '../leases/leases.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { recover } from './recover.ts';
import { createSeat, type Seat } from './seats.ts';
import { linkSignals } from './signals.ts';
import { createWriter, type Writer } from './writer.ts';
import type { Writers } from './writers.ts';

/**
 * Prepares the three ways to a writer; see `Writers`.
 *
 * @param seats - the seats of this process, by upload. Each writer enters its own and removes it at its release.
 * @param removeFile - deletes a published file; see files.ts.
 */
export function createOpenWriters(
  parts: Parts,
  seats: Map<string, Seat>,
  removeFile: (id: string, owner: string) => Promise<unknown>,
): Pick<Writers, 'open' | 'openIfFree' | 'begin'> {
  const { leases } = parts;

  async function open(upload: UploadRecord, options: { signal: AbortSignal }): Promise<Writer> {
    const asked = createAsked();
    const lease = await leases.take(upload, {
      signal: options.signal,
      timeoutMs: parts.limits.lockTimeoutMs,
      onAsked: asked.onAsked,
    });
    return sit(lease, asked.signal, options.signal);
  }

  async function openIfFree(upload: UploadRecord): Promise<Writer | undefined> {
    const asked = createAsked();
    const lease = await leases.takeIfFree(upload, asked);
    return lease && sit(lease, asked.signal, parts.stopping);
  }

  async function begin(id: string, create: () => Promise<UploadRecord>): Promise<Writer> {
    const asked = createAsked();
    return sit(await leases.begin(id, create, asked), asked.signal, parts.stopping);
  }

  /** Opens the writer of a lease, once row and store agree. @param wanted - aborts the recovery, as `asked` does. */
  async function sit(lease: Lease, asked: AbortSignal, wanted: AbortSignal): Promise<Writer> {
    const { uploadId } = lease;
    const seat = createSeat(lease.upload, parts.surroundings, lease.needsRecovery ? 'unrecovered' : 'recovered');
    seats.set(uploadId, seat);
    async function release(): Promise<void> {
      if (seats.get(uploadId) === seat) seats.delete(uploadId);
      await lease.release(seat.left);
      seat.leave();
    }
    try {
      const upload = lease.needsRecovery ? await recovered(lease, seat, [wanted, asked]) : lease.upload;
      return createWriter({ parts, upload, lease, seat, asked, release, removeFile });
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** Recovers the upload. @returns its row, which then agrees with what the store durably has. */
  async function recovered(lease: Lease, seat: Seat, signals: readonly AbortSignal[]): Promise<UploadRecord> {
    const { signal, unlink } = linkSignals(...signals, parts.stopping);
    await recover(parts, lease, seat, signal).finally(unlink);
    const row = await parts.catalog.findUpload(lease.uploadId);
    if (!row) throw new TidemarkError('not_found');
    return row;
  }

  return { open, openIfFree, begin };
}

/** A signal for the holder of a lease, aborted when another request waits for it. Its reason is the holder's answer. */
function createAsked(): { signal: AbortSignal; onAsked: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, onAsked: () => controller.abort(new TidemarkError('upload_taken_over')) };
}
