/** Translates errors of store, catalog and leases into errors of the domain: the only place that does. */
import { StoreError, type StoreErrorCode } from '../../stores/store.ts';
import { CatalogError, type CatalogErrorCode } from '../catalog/catalog.ts';
import { OverQuota } from '../catalog/quotas.ts';
import { LockError, type LockErrorCode } from '../leases/leases.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import { overQuota } from './over-quota.ts';

const FROM_STORE: Record<StoreErrorCode, ErrorCode> = {
  missing: 'not_found',
  occupied: 'internal',
  full: 'store_full',
  overflow: 'too_large',
  unavailable: 'store_unavailable',
  failed: 'internal',
};

const FROM_CATALOG: Record<CatalogErrorCode, ErrorCode> = {
  unavailable: 'store_unavailable',
  full: 'store_full',
  over_quota: 'over_quota',
  invalid_cursor: 'invalid_field',
  failed: 'internal',
};

const FROM_LEASES: Record<LockErrorCode, ErrorCode> = {
  timeout: 'upload_locked',
  aborted: 'upload_taken_over',
  missing: 'not_found',
  closed: 'shutting_down',
};

/** In this time, a store or a database can restart. */
const RETRY_LATER = { retryAfterMs: 5_000 };

/** The domain's error for an error of a part; anything unknown passes as it is. */
export function toTidemarkError(error: unknown): unknown {
  if (error instanceof StoreError) {
    if (error.code === 'overflow') {
      return new TidemarkError('too_large', {
        field: 'size',
        message: 'The body has more bytes than the upload has left.',
        cause: error,
      });
    }
    const later = error.code === 'unavailable' ? RETRY_LATER : {};
    return new TidemarkError(FROM_STORE[error.code], { ...later, cause: error });
  }
  if (error instanceof OverQuota) return overQuota(error);
  if (error instanceof CatalogError) {
    const code = FROM_CATALOG[error.code];
    if (code === 'invalid_field') {
      return new TidemarkError(code, {
        field: 'cursor',
        message: 'cursor must be the nextCursor of a listing with the same sort and order.',
      });
    }
    const later = error.code === 'unavailable' ? RETRY_LATER : {};
    return new TidemarkError(code, { ...later, cause: error });
  }
  if (error instanceof LockError) return new TidemarkError(FROM_LEASES[error.code], { cause: error });
  return error;
}

/** Runs `action`, and translates what it throws. */
export async function translated<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw toTidemarkError(error);
  }
}
