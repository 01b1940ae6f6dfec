/** Joins the partials of a final upload: the service writes it from their bytes, and publishes it. */
import { StoreError, type Written } from '../../stores/store.ts';
import type { UploadRecord } from '../catalog/catalog.ts';
import type { FileView } from './contract.ts';
import { discard } from './discard.ts';
import { hasCode, TidemarkError } from './errors.ts';
import { openLedger } from './ledger.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import { type Appending, declareLength, publishWritten, refuseTooLarge, settleFailure } from './receive.ts';
import { linkSignals } from './signals.ts';
import type { Holding } from './writer.ts';

/** The size of all partials together; null while the length of one is deferred. */
export function sizeOfAll(partials: readonly Pick<UploadRecord, 'size'>[]): number | null {
  let sum = 0;
  for (const { size } of partials) {
    if (size === null) return null;
    sum += size;
  }
  return sum;
}

/** Joins the partials, all of which have all their bytes; see `Writer`. */
export async function join(holding: Holding): Promise<FileView> {
  const { parts, upload, lease } = holding;
  const partials = await parts.catalog.listPartials(upload.id);
  const size = sizeOfAll(partials);
  if (size === null) throw new Error(`upload ${upload.id}: a partial has no length`);
  if (upload.size === null) await declareSum(holding, size);
  const final: UploadRecord = { ...upload, size };
  const joining: Appending = { holding, upload: final, ledger: openLedger(holding, final) };
  try {
    const { offset, digests, interrupted } = await write(joining, partials);
    if (interrupted instanceof Error) throw interrupted;
    if (!digests) throw new Error(`upload ${upload.id}: its partials have ${offset} bytes, not ${size}`);
    return await publishWritten({ ...joining, upload: { ...final, offset } }, digests);
  } catch (error) {
    // The bytes of a partial are gone: those of the final cannot come any more.
    if (error instanceof StoreError && error.code === 'missing') {
      await endWithoutBytes(parts, upload.id, lease.epoch, error);
    }
    throw error;
  }
}

/** Sets the length of the final, or rejects it. @throws `too_large`. */
async function declareSum(holding: Holding, size: number): Promise<void> {
  const { parts, upload, lease, seat } = holding;
  try {
    refuseTooLarge(parts.limits, size);
  } catch (error) {
    if (
      hasCode(error, 'too_large') &&
      (await parts.catalog.endUpload(upload.id, lease.epoch, 'rejected', error.code))
    ) {
      await parts.catalog.durable();
      await discard(parts, upload, 'remove');
      seat.markLeft('ended');
    }
    throw error;
  }
  await declareLength(holding, size);
}

/** Has the store append the bytes of the partials from the upload's offset on. */
async function write(joining: Appending, partials: readonly UploadRecord[]): Promise<Written> {
  const { holding, upload, ledger } = joining;
  const { parts, asked } = holding;
  const { signal, unlink } = linkSignals(asked, parts.stopping);
  // The store removes bytes that a row no longer names: so the rows have to be durable. See receive.ts.
  if (parts.store.capabilities.stateNamesBytes) await parts.catalog.durable();
  let written: Written;
  try {
    written = await parts.store.joinUploads(upload, partials, {
      digests: parts.digests,
      commit: (progress) => ledger.commit(progress),
      signal,
    });
  } catch (error) {
    await settleFailure(joining, false, error);
    throw signal.aborted && !(error instanceof TidemarkError) ? signal.reason : error;
  } finally {
    unlink();
  }
  if (!written.digests && signal.aborted) throw signal.reason;
  return written;
}
