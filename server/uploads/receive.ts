/** What a writer does: bytes of one request into the store and the ledger, and on to publication. */
import type { Readable } from 'node:stream';
import { type Commit, StoreError } from '../../stores/store.ts';
import type { UploadRecord } from '../catalog/catalog.ts';
import type { Published, Received } from './contract.ts';
import { hasCode, TidemarkError } from './errors.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import type { Limits, Parts } from './parts.ts';
import { publish } from './publish.ts';
import { linkSignals } from './signals.ts';
import type { Holding } from './writer.ts';

/** Most publications take less, and need no row written for them. */
const TELL_AFTER_MS = 1_000;

export interface AppendOptions {
  /** Ends it too; its reason, a TidemarkError, is what the request answers. */
  signal?: AbortSignal;
  /** Bytes this request may bring. */
  maxBytes: number;
  /** The deferred length that this request declares: with bytes beyond it, it has declared nothing. */
  length?: number | undefined;
  /** It reads its source now. */
  onReading?: () => void;
}

/**
 * Appends a source at the upload's committed offset, under the lease, and publishes
 * the upload when it then has all its bytes.
 *
 * @throws TidemarkError; errors of store and catalog untranslated.
 */
export async function append(holding: Holding, source: Readable, options: AppendOptions): Promise<Received> {
  const { parts, upload: before, lease, seat, asked } = holding;
  const { catalog, store, limits } = parts;
  const { id } = before;
  const { length } = options;
  if (length !== undefined) await declareLength(holding, length);
  const upload = length === undefined ? before : { ...before, size: length };
  let expiresAt = upload.expiresAt;
  const { signal, unlink } = linkSignals(asked, parts.stopping, ...(options.signal ? [options.signal] : []));

  /** The commit that makes the upload whole: the publication records the same, so that this one can be saved. */
  let last: Commit | undefined;
  let { storeState } = upload;

  async function commit(progress: Commit): Promise<void> {
    storeState = progress.storeState ?? null;
    if (progress.offset === upload.size && progress.optional) last = progress;
    else await record(progress);
  }

  async function record(progress: Commit): Promise<void> {
    const moved = progress.offset > upload.offset;
    if (moved) expiresAt = parts.clock.latest() + limits.uploadTtlMs;
    const committed = await catalog.commitOffset({
      id,
      epoch: lease.epoch,
      ...progress,
      // May run long after the last byte: when an idle connection is closed.
      lastByteAt: moved ? seat.lastArrivalAt || parts.clock.steady() : upload.lastByteAt,
      expiresAt,
    });
    if (!committed) throw new TidemarkError('upload_taken_over');
  }

  /** After a failure, which is what the client is to hear of. */
  async function recordLast(): Promise<void> {
    if (!last) return;
    try {
      await last.optional?.();
      await record(last);
    } catch (error) {
      parts.log.warn({ uploadId: id, err: error }, 'the last bytes are not in the ledger: to be recovered');
    }
  }

  let written;
  try {
    // The store now removes what the row says is superseded: not before the row is durable.
    if (storeState !== null) await catalog.durable();
    written = await store.writeUpload(source, upload, {
      digests: parts.digests,
      commit,
      signal,
      maxBytes: options.maxBytes,
      onArrival: () => seat.markArrival(),
      onReading: (flush) => {
        seat.markReading(flush);
        options.onReading?.();
      },
    });
  } catch (error) {
    // What the store took may be ahead of the ledger now.
    seat.markLeft('unrecovered');
    await recordLast();
    if (length !== undefined && error instanceof StoreError && error.code === 'overflow') {
      await catalog.withdrawLength(id, lease.epoch);
      seat.markLength(null);
    }
    await catalog.durable();
    // Something else removed the bytes: no later request could resume either.
    if (error instanceof StoreError && error.code === 'missing') {
      await endWithoutBytes(parts, id, lease.epoch, error);
    }
    throw error;
  } finally {
    unlink();
  }

  const { digests } = written;
  if (digests) {
    const complete: UploadRecord = { ...upload, offset: written.offset, storeState };
    try {
      const { file } = await publishing(holding, () => publish(parts, complete, lease.epoch, digests));
      return { offset: written.offset, file, expiresAt, interrupted: undefined };
    } catch (error) {
      // Whole it is all the same, unless it was refused: the next who looks publishes it.
      if (!hasCode(error, 'digest_mismatch')) await recordLast();
      throw error;
    }
  }
  await catalog.durable();
  if (signal.aborted) throw signal.reason;
  return { offset: written.offset, file: null, expiresAt, interrupted: written.interrupted };
}

/** Sets a deferred length, under the lease. @throws `too_large`, `upload_taken_over`. */
export async function declareLength({ parts, lease, seat }: Holding, size: number): Promise<void> {
  refuseTooLarge(parts.limits, size);
  if (!(await parts.catalog.declareLength(lease.uploadId, lease.epoch, size))) {
    throw new TidemarkError('upload_taken_over');
  }
  seat.markLength(size);
}

/** @throws `too_large`. */
export function refuseTooLarge({ maxFileSizeBytes }: Limits, size: number): void {
  if (maxFileSizeBytes !== null && size > maxFileSizeBytes) {
    throw new TidemarkError('too_large', {
      field: 'Upload-Length',
      message: `The file is larger than this service accepts: at most ${maxFileSizeBytes} bytes.`,
    });
  }
}

/**
 * Publishes an upload that has all its bytes.
 *
 * @throws as `publish`.
 */
export async function finish(
  holding: Holding,
  options: { reuseFile: boolean } = { reuseFile: false },
): Promise<Published> {
  const { parts, lease } = holding;
  const upload = await requireReceiving(parts, lease.uploadId);
  const lane = parts.digests.open(upload.snapshot);
  try {
    const digests = await lane.digests();
    return await publishing(holding, () => publish(parts, upload, lease.epoch, digests, options));
  } finally {
    lane.close();
  }
}

/** Runs a publication; one that takes a while is marked in the row, for other nodes. */
async function publishing<T>({ parts, lease, seat }: Holding, publication: () => Promise<T>): Promise<T> {
  const { catalog, surroundings, log } = parts;
  const timer = surroundings.setTimeout(() => {
    catalog.markPublishing(lease.uploadId, lease.epoch).catch((error: unknown) => {
      log.warn({ uploadId: lease.uploadId, err: error }, 'other nodes are not told yet of a publication');
    });
  }, TELL_AFTER_MS);
  try {
    return await seat.publishing(publication);
  } finally {
    surroundings.clearTimeout(timer);
  }
}

/** The row of an upload that is still under way. @throws `not_found`, `upload_taken_over`. */
export async function requireReceiving(parts: Parts, id: string): Promise<UploadRecord> {
  const upload = await parts.catalog.findUpload(id);
  if (!upload) throw new TidemarkError('not_found');
  if (upload.state !== 'receiving') throw new TidemarkError('upload_taken_over');
  return upload;
}
