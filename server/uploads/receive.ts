/** What a writer does: it appends the bytes of one request, and publishes the upload with its last byte. */
import type { Readable } from 'node:stream';
import type { DigestSet } from '../../stores/digests/digests.ts';
import { StoreError, type Verification, type Written } from '../../stores/store.ts';
import type { UploadRecord } from '../catalog/catalog.ts';
import { type ExpectedChecksum, verifyAll } from './checksums.ts';
import { type FileView, mostFileBytes, type Published, type Received } from './contract.ts';
import { hasCode, invalidField, TidemarkError } from './errors.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import type { Limits, Parts } from './parts.ts';
import { publish } from './publish.ts';
import { measureRoom, type Room } from './room.ts';
import { linkSignals } from './signals.ts';
import type { Holding } from './writer.ts';

/** Most publications take less time. A longer one is marked in the row, so that other nodes know of it. */
const TELL_AFTER_MS = 1_000;

export interface AppendOptions {
  /** Ends the append, which then throws the signal's reason. */
  signal?: AbortSignal;
  /** Bytes this request may bring. */
  maxBytes: number;
  /** The deferred length that this request declares. Where more bytes follow, the declaration does not count. */
  length?: number | undefined;
  /** Makes the request count as a whole, or not at all. With several, all have to be right. */
  checksum?: ExpectedChecksum | readonly ExpectedChecksum[] | undefined;
  /** Called when the store begins to read the source. */
  onReading?: () => void;
  /** Called with each offset that is recorded while bytes come. It may be told once `durable` of the writer has resolved. */
  onCommit?: (offset: number) => void;
}

/**
 * Appends a source at the upload's committed offset, under the lease, and publishes
 * the upload when it then has all its bytes.
 *
 * With a checksum, nothing of the request counts before its bytes are verified, the length that it declares included.
 *
 * @throws TidemarkError; errors of store and catalog untranslated.
 */
export async function append(holding: Holding, source: Readable, options: AppendOptions): Promise<Received> {
  const { parts, upload: before, asked } = holding;
  const { length, checksum, maxBytes } = options;
  const verification = await verifyAll(checksum === undefined ? [] : [checksum].flat());
  if (length !== undefined && verification) refuseTooLarge(parts.limits, length);
  else if (length !== undefined) await declareLength(holding, length);
  const upload = length === undefined ? before : { ...before, size: length };
  const isCounted = before.size !== null || before.expectedSize !== null || (length !== undefined && !verification);
  const room = isCounted ? undefined : await measureRoom(parts, before.owner);
  if (room && length !== undefined && length - before.offset > room.bytes) throw room.refusal();
  const ledger = openLedger(holding, upload, withLook(options, room));
  const ends = [options.signal, room?.signal].filter((end) => end !== undefined);
  const { signal, unlink } = linkSignals(asked, parts.stopping, ...ends);

  let written: Written;
  try {
    const within = { ...options, maxBytes: Math.min(maxBytes, room?.bytes ?? Infinity), signal, verification };
    written = await write({ holding, upload, ledger }, source, within);
    if (length !== undefined && verification && written.interrupted === undefined) await declareLength(holding, length);
  } catch (error) {
    await settleFailure({ holding, upload, ledger }, length !== undefined && !verification, error);
    const isFull = room !== undefined && room.bytes < maxBytes && error instanceof StoreError;
    throw isFull && error.code === 'overflow' ? room.refusal() : error;
  } finally {
    unlink();
  }

  const { offset, digests, interrupted } = written;
  if (digests && upload.kind !== 'partial') {
    const file = await publishWritten({ holding, upload: { ...upload, offset }, ledger }, digests);
    return { offset, file, expiresAt: ledger.expiresAt, interrupted: undefined };
  }
  await parts.catalog.durable();
  if (signal.aborted) throw signal.reason;
  return { offset, file: null, expiresAt: ledger.expiresAt, interrupted };
}

/** Tells each offset that is recorded, and looks then whether others have taken the room. */
function withLook({ onCommit }: AppendOptions, room: Room | undefined): AppendOptions['onCommit'] {
  if (!room) return onCommit;
  return (offset) => {
    room.look();
    onCommit?.(offset);
  };
}

/** A running append. */
export interface Appending {
  holding: Holding;
  /** The upload's row, with the length that this request declares. */
  upload: UploadRecord;
  ledger: Ledger;
}

/** Has the store write the source, and record its commits in the ledger. */
async function write(
  { holding, upload, ledger }: Appending,
  source: Readable,
  options: AppendOptions & { signal: AbortSignal; verification: Verification | undefined },
): Promise<Written> {
  const { parts, seat } = holding;
  // The store removes bytes that the row no longer names. Until the row is durable, a power cut could bring back the old
  // row, which names them.
  if (upload.storeState !== null && parts.store.capabilities.stateNamesBytes) await parts.catalog.durable();
  return parts.store.writeUpload(source, upload, {
    digests: parts.digests,
    commit: (progress) => ledger.commit(progress),
    signal: options.signal,
    maxBytes: options.maxBytes,
    verification: options.verification,
    onArrival: () => seat.markArrival(),
    onReading: (flush) => {
      seat.markReading(flush);
      options.onReading?.();
    },
  });
}

/** After a failed write: records what can be kept, so that the next request finds it. */
export async function settleFailure(
  { holding, upload, ledger }: Appending,
  hasDeclared: boolean,
  error: unknown,
): Promise<void> {
  const { parts, lease, seat } = holding;
  // The store may have more bytes than the ledger says.
  seat.markLeft('unrecovered');
  await ledger.recordLast();
  if (hasCode(error, 'upload_taken_over')) await discardLate(parts, upload.id);
  if (hasDeclared && error instanceof StoreError && error.code === 'overflow') {
    await parts.catalog.withdrawLength(upload.id, lease.epoch);
    seat.markLength(null);
  }
  await parts.catalog.durable();
  // Something else removed the bytes: no later request could resume either.
  if (error instanceof StoreError && error.code === 'missing') {
    await endWithoutBytes(parts, upload.id, lease.epoch, error);
  }
}

/**
 * Removes what this writer stored after another node had taken the upload and ended it: nobody looks for that any more.
 * Of an upload that is still receiving, its end does. Never throws.
 */
async function discardLate({ catalog, store, log }: Parts, id: string): Promise<void> {
  try {
    if ((await catalog.findUpload(id))?.state === 'receiving') return;
    await store.discardUpload({ id, storeState: null }, 'remove');
  } catch (error) {
    log.warn({ uploadId: id, err: error }, 'what was stored without a lease could not be removed');
  }
}

/** Publishes an upload whose last byte has just been written. */
export async function publishWritten({ holding, upload, ledger }: Appending, digests: DigestSet): Promise<FileView> {
  const { parts, lease } = holding;
  const complete: UploadRecord = { ...upload, storeState: ledger.storeState };
  try {
    const { file } = await publishing(holding, () => publish(parts, complete, lease.epoch, digests));
    return file;
  } catch (error) {
    // Unless its digests were wrong, the upload stays whole: the next request that looks at it publishes it.
    if (!hasCode(error, 'digest_mismatch')) await ledger.recordLast();
    throw error;
  }
}

/** Sets a deferred length, under the lease. @throws `too_large`, `upload_taken_over`, `quota_reached`. */
export async function declareLength({ parts, lease, seat }: Holding, size: number): Promise<void> {
  refuseTooLarge(parts.limits, size);
  requireChanged(await parts.catalog.declareLength(lease.uploadId, lease.epoch, size));
  seat.markLength(size);
}

/** Records the length that is expected, in place of a declared one. @throws as `declareLength`. */
export async function expectLength({ parts, lease, seat }: Holding, size: number | null): Promise<void> {
  refuseTooLarge(parts.limits, size ?? 0);
  requireChanged(await parts.catalog.expectLength(lease.uploadId, lease.epoch, size));
  seat.markLength(null);
}

/** @throws `upload_taken_over`, `quota_reached`. */
export function requireChanged(outcome: boolean | 'quota'): void {
  if (outcome === 'quota') throw new TidemarkError('quota_reached');
  if (!outcome) throw new TidemarkError('upload_taken_over');
}

/** @throws `too_large`. */
export function refuseTooLarge(limits: Pick<Limits, 'maxFileSizeBytes'>, size: number): void {
  const most = mostFileBytes(limits);
  if (size > most) {
    throw new TidemarkError('too_large', {
      field: 'size',
      message: `The file is larger than this service accepts: at most ${most} bytes.`,
    });
  }
}

/**
 * Publishes an upload that has all its bytes.
 *
 * @throws as `publish`.
 */
export async function finish(holding: Holding): Promise<Published> {
  const { parts, lease } = holding;
  const upload = await requireReceiving(parts, lease.uploadId);
  if (upload.kind === 'partial')
    throw invalidField('upload', 'A partial upload becomes no file; a final one joins it.');
  const lane = parts.digests.open(upload.snapshot);
  try {
    const digests = await lane.digests();
    return await publishing(holding, () => publish(parts, upload, lease.epoch, digests));
  } finally {
    lane.close();
  }
}

/** Runs a publication, and marks it in the row for other nodes where it takes long. */
async function publishing<T>({ parts, lease, seat }: Holding, publication: () => Promise<T>): Promise<T> {
  const { catalog, surroundings, log } = parts;
  let marking: Promise<unknown> | undefined;
  const timer = surroundings.setTimeout(() => {
    marking = catalog.markPublishing(lease.uploadId, lease.epoch).catch((error: unknown) => {
      log.warn({ uploadId: lease.uploadId, err: error }, 'other nodes are not told yet of a publication');
    });
  }, TELL_AFTER_MS);
  try {
    return await seat.publishing(publication);
  } finally {
    surroundings.clearTimeout(timer);
    // The mark must not come after the release of the lease.
    await marking;
  }
}

/** The row of an upload that is still under way. @throws `not_found`, `upload_taken_over`. */
export async function requireReceiving(parts: Parts, id: string): Promise<UploadRecord> {
  const upload = await parts.catalog.findUpload(id);
  if (!upload) throw new TidemarkError('not_found');
  if (upload.state !== 'receiving') throw new TidemarkError('upload_taken_over');
  return upload;
}
