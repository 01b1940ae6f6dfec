/** The beginning of an upload: what the client declares is checked, its row is made, and the store has room for it. */
import type { UploadRecord } from '../catalog/catalog.ts';
import type { BeginRequest } from './contract.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { refuseTooLarge } from './receive.ts';

/** When another upload may have ended; they expire in the course of minutes. */
const RETRY_AFTER_MS = 60_000;

/** @throws the reason of a service that stops; `too_large`. */
export function refuseToBegin(
  { stopping, limits }: Pick<Parts, 'stopping' | 'limits'>,
  { declaration }: Pick<BeginRequest, 'declaration'>,
): void {
  if (stopping.aborted) throw stopping.reason;
  refuseTooLarge(limits, declaration.size ?? 0);
}

/**
 * Makes the row of an upload, and room in the store.
 *
 * @param phase - `receiving` where this node holds the lease from the first moment on.
 * @throws `too_many_uploads`; errors of store and catalog untranslated.
 */
export async function createUpload(
  { catalog, store, limits, leases }: Parts,
  { id, owner, declaration }: BeginRequest,
  phase: 'receiving' | null,
): Promise<UploadRecord> {
  const lifeMs = limits.uploadTtlMs;
  const declared = { ...declaration, id, owner, holder: leases.node, phase };
  const times = await catalog.createUpload({ ...declared, lifeMs }, limits.maxOpenUploads);
  if (!times) throw new TidemarkError('too_many_uploads', { retryAfterMs: RETRY_AFTER_MS });
  const upload: UploadRecord = {
    ...declared,
    ...times,
    leftMs: lifeMs,
    idleMs: 0,
    state: 'receiving',
    offset: 0,
    snapshot: null,
    epoch: 1,
    storeState: null,
    reason: null,
    fileId: null,
  };
  try {
    await store.createUpload(upload);
  } catch (error) {
    await catalog.endUpload(id, null, 'terminated', 'no_room');
    throw error;
  }
  return upload;
}
