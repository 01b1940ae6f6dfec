/** The ledger as one append writes it: the store's commits become the upload's offset, under the epoch of the lease. */
import type { Commit } from '../../stores/store.ts';
import type { UploadRecord } from '../catalog/catalog.ts';
import { TidemarkError } from './errors.ts';
import type { Holding } from './writer.ts';

export interface Ledger {
  /** When the upload expires unless more bytes arrive; ms since the epoch. */
  readonly expiresAt: number;
  /** What the store noted with its last commit. */
  readonly storeState: string | null;
  /**
   * Records a commit of the store. The one that makes the upload whole is kept back where it is optional: publication
   * records the same.
   *
   * @throws TidemarkError `upload_taken_over`.
   */
  commit(progress: Commit): Promise<void>;
  /** Records what was kept back, because publication does not follow. Never throws: the client hears of what failed before. */
  recordLast(): Promise<void>;
}

/** The ledger of an upload whose lease is held. */
export function openLedger({ parts, lease, seat }: Holding, upload: UploadRecord): Ledger {
  const { id } = upload;
  let { expiresAt, storeState } = upload;
  /** What was kept back. */
  let last: Commit | undefined;

  async function record(progress: Commit): Promise<void> {
    const moved = progress.offset > upload.offset;
    // May run long after the last byte: when an idle connection is closed.
    const idleMs = Number.isFinite(seat.idleMs) ? seat.idleMs : 0;
    const committed = await parts.catalog.commitOffset({
      id,
      epoch: lease.epoch,
      ...progress,
      idleMs: moved ? idleMs : null,
      lifeMs: moved ? parts.limits.uploadTtlMs : null,
    });
    if (!committed) throw new TidemarkError('upload_taken_over');
    expiresAt = committed.expiresAt;
  }

  return {
    get expiresAt() {
      return expiresAt;
    },
    get storeState() {
      return storeState;
    },
    commit: async (progress) => {
      storeState = progress.storeState ?? null;
      if (progress.offset === upload.size && progress.optional) last = progress;
      else await record(progress);
    },
    recordLast: async () => {
      if (!last) return;
      try {
        await last.optional?.();
        await record(last);
      } catch (error) {
        parts.log.warn({ uploadId: id, err: error }, 'the last bytes are not in the ledger: to be recovered');
      }
    },
  };
}
