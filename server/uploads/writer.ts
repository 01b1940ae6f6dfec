/**
 * A writer: the right to write to one upload. It is held, not named by an id: code that holds none cannot write,
 * and what it does counts under the epoch of its lease alone.
 */
import type { Readable } from 'node:stream';
import { CatalogError, type UploadRecord } from '../catalog/catalog.ts';
import type { Lease } from '../leases/leases.ts';
import type { Published, Received, UploadView } from './contract.ts';
import { discard } from './discard.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { append, type AppendOptions, declareLength, finish, requireReceiving } from './receive.ts';
import type { Seat } from './seats.ts';
import { translated } from './translate.ts';
import { uploadViewOf } from './views.ts';

/** All refusals are TidemarkError. */
export interface Writer {
  /** The upload as it was read under the lease. */
  readonly upload: UploadView;
  /** Of the lease. */
  readonly epoch: number;
  /**
   * Appends the source at the upload's offset, and publishes when it was the last byte. What arrived is kept, whatever
   * ends the source; of one with too many bytes, what came before the last of them, and not the length that it declared.
   *
   * @throws `digest_mismatch`, `too_large`, `store_full`, `store_unavailable`, `upload_taken_over`, `shutting_down`.
   */
  append(source: Readable, options: AppendOptions): Promise<Received>;
  /** Sets a deferred length. @throws `too_large`, `upload_taken_over`. */
  declareLength(size: number): Promise<void>;
  /** Publishes the upload, which has all its bytes. @throws as `publish`. */
  finish(options?: { reuseFile: boolean }): Promise<Published>;
  /**
   * Ends the upload, which is not published, and removes its bytes.
   *
   * @param reason - why, for its row.
   * @throws `upload_taken_over`, also where it is published.
   */
  end(reason?: string): Promise<void>;
  /** Ends the upload, whose time is up; as `end` otherwise. */
  expire(): Promise<void>;
  /** Removes what its owner does not want any more: of a published upload the file, else as `end`. */
  remove(): Promise<void>;
  /** Gives the lease back. Can be called again. */
  release(): Promise<void>;
}

/** What a writer works with. */
export interface Holding {
  readonly parts: Parts;
  readonly upload: UploadRecord;
  readonly lease: Lease;
  readonly seat: Seat;
  /** Gives the lease back. Can be called again. */
  readonly release: () => Promise<void>;
  /** Aborted, with what its request is to answer, when another request waits for the lease. */
  readonly asked: AbortSignal;
  /** Deletes a published file of an owner. */
  readonly removeFile: (id: string, owner: string) => Promise<unknown>;
}

/** A writer over a lease that is held. */
export function createWriter(holding: Holding): Writer {
  const { parts, upload, lease } = holding;
  let hasAppended = false;

  /** What is held, with a row that tells of what this writer itself has appended. */
  async function upToDate(): Promise<Holding> {
    if (hasAppended) return { ...holding, upload: await requireReceiving(parts, lease.uploadId) };
    hasAppended = true;
    return holding;
  }

  return {
    upload: uploadViewOf(upload),
    epoch: lease.epoch,
    append: (source, options) => translated(async () => append(await upToDate(), source, options)),
    declareLength: (size) => translated(() => declareLength(holding, size)),
    finish: (options) => translated(() => finish(holding, options)),
    end: (reason) => translated(() => end(holding, 'terminated', reason ?? null)),
    expire: () => translated(() => end(holding, 'expired', null)),
    remove: () => translated(() => remove(holding)),
    release: () => holding.release(),
  };
}

async function remove(holding: Holding): Promise<void> {
  const { parts, lease, removeFile } = holding;
  const upload = await parts.catalog.findUpload(lease.uploadId);
  if (upload?.state === 'complete' && upload.fileId) await removeFile(upload.fileId, upload.owner);
  else await end(holding, 'terminated', null);
}

async function end(holding: Holding, state: 'terminated' | 'expired', reason: string | null): Promise<void> {
  const { parts, lease } = holding;
  const { catalog } = parts;
  if (!(await recordEnd(holding, state, reason))) {
    // Where another holds the lease by now, or has published it, the bytes are theirs.
    const found = (await catalog.findUpload(lease.uploadId))?.state;
    if (found === 'receiving' || found === 'complete') throw new TidemarkError('upload_taken_over');
    return;
  }
  await catalog.durable();
  const ended = await catalog.findUpload(lease.uploadId);
  if (ended) await discard(parts, ended, 'remove');
  holding.seat.markLeft('ended');
}

async function recordEnd(
  { parts, lease }: Holding,
  state: 'terminated' | 'expired',
  reason: string | null,
): Promise<boolean> {
  const { catalog, store } = parts;
  const { uploadId, epoch } = lease;
  try {
    return await catalog.endUpload(uploadId, epoch, state, reason);
  } catch (error) {
    // No room to record it: then the bytes, which may be what fills the disk, go first.
    if (!(error instanceof CatalogError && error.code === 'full')) throw error;
    const upload = await catalog.findUpload(uploadId);
    if (upload?.epoch !== epoch) throw error;
    await store.discardUpload(upload, 'remove');
    return catalog.endUpload(uploadId, epoch, state, reason);
  }
}
