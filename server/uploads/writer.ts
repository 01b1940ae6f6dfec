/**
 * A writer: the right to write to one upload. It is an object that a request holds, not an id: code without it cannot
 * write, and all that it changes is checked against the epoch of its lease.
 */
import type { Readable } from 'node:stream';
import { CatalogError, type UploadRecord } from '../catalog/catalog.ts';
import type { Lease } from '../leases/leases.ts';
import type { FileView, Published, Received, UploadView } from './contract.ts';
import { discard } from './discard.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import { join } from './join.ts';
import type { Parts } from './parts.ts';
import { append, type AppendOptions, declareLength, expectLength, finish, requireReceiving } from './receive.ts';
import type { Seat } from './seats.ts';
import { translated } from './translate.ts';
import { uploadViewOf } from './views.ts';

/** All refusals are TidemarkError. */
export interface Writer {
  /** The upload as it was when the writer was opened. */
  readonly upload: UploadView;
  /** The epoch of its lease. */
  readonly epoch: number;
  /**
   * Appends the source at the upload's offset, and publishes the upload once it has its last byte. What arrived is kept,
   * however the source ends. Where the source has too many bytes, the last ones before the limit may be lost, and a length
   * that this request declared is withdrawn. A source with a checksum counts as a whole, or not at all.
   *
   * @throws `checksum_mismatch`, after which the upload is as it was; `digest_mismatch`, `too_large`, `store_full`, `store_unavailable`, `upload_taken_over`, `shutting_down`.
   */
  append(source: Readable, options: AppendOptions): Promise<Received>;
  /**
   * Joins the partials of a final upload, from where an interrupted attempt has stopped, and publishes it.
   *
   * @throws as `append` and `publish`; `upload_expired` where bytes of a partial are gone.
   */
  join(): Promise<FileView>;
  /** Sets a deferred length. @throws `too_large`, `upload_taken_over`, `quota_reached`. */
  declareLength(size: number): Promise<void>;
  /**
   * Records the length that the upload is expected to have, in place of a declared one. So its last byte does not complete
   * it, but the `length` of a later append, or `declareLength`.
   *
   * @param size - null: the length is not known.
   * @throws as `declareLength`.
   */
  expectLength(size: number | null): Promise<void>;
  /** Resolves once all that is recorded of the upload survives a power cut: then its address or offset may be told. */
  durable(): Promise<void>;
  /** Publishes an upload that has all its bytes. @throws as `publish`. */
  finish(): Promise<Published>;
  /**
   * Ends an unpublished upload as terminated, and removes its bytes.
   *
   * @param reason - recorded in its row.
   * @throws `upload_taken_over`, also where it is published.
   */
  end(reason?: string): Promise<void>;
  /** As `end`, but ends it as rejected. @param reason - a code of the domain's errors. */
  reject(reason: ErrorCode): Promise<void>;
  /** As `end`, but ends it as expired. */
  expire(): Promise<void>;
  /** Removes the file of a published upload; for any other, as `end`. */
  remove(): Promise<void>;
  /** Releases the lease. Can be called again. */
  release(): Promise<void>;
}

/** What the functions of a writer work with. */
export interface Holding {
  readonly parts: Parts;
  readonly upload: UploadRecord;
  readonly lease: Lease;
  readonly seat: Seat;
  /** Releases the lease. Can be called again. */
  readonly release: () => Promise<void>;
  /** Aborted when another request waits for the lease. The reason is the answer of the writer's own request. */
  readonly asked: AbortSignal;
  /** Deletes a published file of an owner. */
  readonly removeFile: (id: string, owner: string) => Promise<unknown>;
}

/** The writer of a held lease. */
export function createWriter(holding: Holding): Writer {
  const { parts, upload, lease } = holding;
  let hasChanged = false;

  /** The holding, with a row that is read anew where this writer has changed it before. */
  async function upToDate(): Promise<Holding> {
    if (hasChanged) return { ...holding, upload: await requireReceiving(parts, lease.uploadId) };
    hasChanged = true;
    return holding;
  }

  async function expect(size: number | null): Promise<void> {
    await expectLength(holding, size);
    hasChanged = true;
  }

  return {
    upload: uploadViewOf(upload),
    epoch: lease.epoch,
    append: (source, options) =>
      translated(async () => {
        if (upload.kind === 'final') throw new TidemarkError('upload_is_final');
        return append(await upToDate(), source, options);
      }),
    join: () => translated(() => join(holding)),
    declareLength: (size) => translated(() => declareLength(holding, size)),
    expectLength: (size) => translated(() => expect(size)),
    durable: () => translated(() => parts.catalog.durable()),
    finish: () => translated(() => finish(holding)),
    end: (reason) => translated(() => end(holding, 'terminated', reason ?? null)),
    reject: (reason) => translated(() => end(holding, 'rejected', reason)),
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

async function end(
  holding: Holding,
  state: 'rejected' | 'terminated' | 'expired',
  reason: string | null,
): Promise<void> {
  const { parts, lease } = holding;
  const { catalog } = parts;
  if (!(await recordEnd(holding, state, reason))) {
    // Another request holds the lease by now, or has published the upload: its bytes must stay.
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
  state: 'rejected' | 'terminated' | 'expired',
  reason: string | null,
): Promise<boolean> {
  const { catalog, store } = parts;
  const { uploadId, epoch } = lease;
  try {
    return await catalog.endUpload(uploadId, epoch, state, reason);
  } catch (error) {
    // No room to record the end: then remove the bytes first, which may be what fills the disk. Those in a bucket do not,
    // and another node may hold and publish the upload by the time that they are removed.
    const isFull = error instanceof CatalogError && error.code === 'full';
    if (!isFull || store.place?.kind === 'bucket') throw error;
    const upload = await catalog.findUpload(uploadId);
    if (upload?.epoch !== epoch) throw error;
    await store.discardUpload(upload, 'remove');
    return catalog.endUpload(uploadId, epoch, state, reason);
  }
}
