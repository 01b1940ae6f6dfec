/** Leads a final upload to its end, where it does not have to wait for its partials. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { discard } from './discard.ts';
import type { Parts } from './parts.ts';
import { isWhole } from './recovery.ts';
import type { Writers } from './writers.ts';

/** How long partials are kept for further finals, once the last final that needed them is published. */
export const KEEP_JOINED_MS = 600_000;

/**
 * Joins a final whose partials have all their bytes; ends one of which a partial has ended; leaves any other waiting, and one
 * that another node or request has.
 */
export async function advanceFinal(parts: Parts, writers: Writers, id: string): Promise<void> {
  const { catalog, log } = parts;
  const final = await catalog.findUpload(id);
  if (final?.state !== 'receiving' || final.kind !== 'final') return;
  const partials = await catalog.listPartials(id);
  const ended = partials.find(({ state }) => state !== 'receiving');
  if (ended) return endWithout(parts, final, ended);
  if (!partials.every(isWhole)) return;
  const writer = await writers.openIfFree(final);
  if (!writer) return;
  try {
    if (writer.upload.state === 'receiving') await writer.join();
    log.info({ uploadId: id, partials: partials.length }, 'partial uploads are joined');
  } finally {
    await writer.release();
    // Published, or rejected.
    await releaseIfEnded(parts, id);
  }
}

/** Ends a final one of whose partials has ended. A writer that joins it can record nothing from then on. */
async function endWithout(parts: Parts, { id }: UploadRecord, partial: UploadRecord): Promise<void> {
  const { catalog, log } = parts;
  const state = partial.state === 'expired' ? 'expired' : 'terminated';
  if (!(await catalog.endUpload(id, null, state, 'partial_ended'))) return;
  await catalog.durable();
  log.info({ uploadId: id, partialId: partial.id }, 'a final upload ended, as one of its partials has');
  const final = await catalog.findUpload(id);
  if (final) await discard(parts, final, 'remove');
  await releaseIfEnded(parts, id);
}

/** Forgets which partials a final has joined, where it has ended. */
export async function releaseIfEnded({ catalog, limits }: Parts, id: string): Promise<void> {
  const final = await catalog.findUpload(id);
  if (!final || final.state === 'receiving') return;
  // Their bytes count with the final. Where that is limited, they may not be kept beside it.
  const keptMs = limits.quotaOf(final.owner).bytes === null ? Math.min(KEEP_JOINED_MS, limits.uploadTtlMs) : 0;
  await catalog.releasePartials(id, final.state === 'complete' ? keptMs : null);
}
