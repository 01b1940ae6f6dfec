/** Begins an upload: checks what the client declares, creates the row, and has the store make room. */
import type { UploadKind, UploadRecord } from '../catalog/catalog.ts';
import type { BeginRequest } from './contract.ts';
import { TidemarkError } from './errors.ts';
import type { Parts } from './parts.ts';
import { refuseTooLarge } from './receive.ts';

/** After this time, another upload of the owner may have expired: a job looks for expired ones every minute. */
const RETRY_AFTER_MS = 60_000;

/**
 * So long an upload by a link is kept without a byte. Its sender may not have got the answer with its address: until it expires, it
 * takes up a place of the link's, and nothing is lost by its end.
 */
const UNTOUCHED_BY_LINK_MS = 3_600_000;

/** A request for an upload of any kind. */
interface AnyRequest extends Omit<BeginRequest, 'kind'> {
  kind?: UploadKind;
  /** Of a final. */
  partials?: readonly string[];
}

/** @throws `shutting_down` while the service stops; `too_large`. */
export function refuseToBegin(
  { stopping, limits }: Pick<Parts, 'stopping' | 'limits'>,
  { declaration }: Pick<BeginRequest, 'declaration'>,
): void {
  if (stopping.aborted) throw stopping.reason;
  refuseTooLarge(limits, declaration.size ?? 0);
}

/** The refusal of an owner who has as many unfinished uploads as they may. */
export function tooManyUploads(): TidemarkError {
  return new TidemarkError('too_many_uploads', { retryAfterMs: RETRY_AFTER_MS });
}

/**
 * Creates the row of an upload, and makes room in the store.
 *
 * @param phase - `receiving` where this node holds the lease from the beginning.
 * @throws `too_many_uploads`, `quota_reached`; errors of store and catalog untranslated.
 */
export async function createUpload(
  { catalog, store, limits, leases }: Parts,
  { id, owner, declaration, kind = 'file', partials, sent }: AnyRequest,
  phase: 'receiving' | null,
): Promise<UploadRecord> {
  // The first byte prolongs it.
  const lifeMs = sent ? Math.min(limits.uploadTtlMs, UNTOUCHED_BY_LINK_MS) : limits.uploadTtlMs;
  const declared = { ...declaration, id, owner, kind, holder: leases.node, phase };
  const more = { ...(partials ? { partials } : {}), ...(sent ? { sent } : {}) };
  const times = await catalog.createUpload({ ...declared, ...more, lifeMs }, limits.maxOpenUploads);
  if (!times) throw tooManyUploads();
  if (times === 'quota') throw new TidemarkError('quota_reached');
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
    expectedSize: null,
    linkId: sent?.linkId ?? null,
  };
  try {
    await store.createUpload(upload);
  } catch (error) {
    await catalog.endUpload(id, null, 'terminated', 'no_room');
    throw error;
  }
  return upload;
}
