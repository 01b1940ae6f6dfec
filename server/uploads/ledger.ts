/** The ledger of one append: records the store's commits in the upload's row, under the epoch of the lease. */
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
   * Records a commit of the store. An optional commit that completes the upload is kept back, because publication records
   * the same; no publication follows that of a partial.
   *
   * @throws TidemarkError `upload_taken_over`.
   */
  commit(progress: Commit): Promise<void>;
  /**
   * Records the commit that was kept back, where no publication follows. Never throws: the client gets the error that
   * prevented the publication.
   */
  recordLast(): Promise<void>;
}

/**
 * Opens the ledger for one append.
 *
 * @param upload - the row, read under the lease.
 * @param onCommit - called with each offset that is recorded.
 */
export function openLedger(
  { parts, lease, seat }: Holding,
  upload: UploadRecord,
  onCommit?: (offset: number) => void,
): Ledger {
  const { id } = upload;
  let { expiresAt, storeState } = upload;
  /** The commit that was kept back. */
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
    if (moved) onCommit?.(progress.offset);
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
      if (progress.offset === upload.size && progress.optional && upload.kind !== 'partial') {
        last = progress;
        return;
      }
      await progress.optional?.();
      await record(progress);
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
