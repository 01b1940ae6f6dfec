/** Translates errors of the file system into StoreError. */
import { StoreError, type StoreErrorCode } from '../store.ts';

const CODES: Record<string, StoreErrorCode> = {
  ENOENT: 'missing',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EROFS: 'unavailable',
  EACCES: 'unavailable',
  EPERM: 'unavailable',
  EMFILE: 'unavailable',
  ENFILE: 'unavailable',
  ENOTDIR: 'unavailable',
  EIO: 'unavailable',
  ESTALE: 'unavailable',
};

/** Whether `error` came from a system call. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

/** Whether `error` is an error of the file system with this code, e.g. `ENOENT`. */
export function isFsError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/**
 * Translates what a call of the file system threw; a StoreError stays as it is.
 *
 * @param doing - what was tried, for the message: "writing upload 12ab".
 */
export function toStoreError(error: unknown, doing: string): StoreError {
  if (error instanceof StoreError) return error;
  const fsCode = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return new StoreError((fsCode && CODES[fsCode]) || 'failed', `${doing}: ${fsCode ?? String(error)}`, error);
}

/** Runs an action, and translates errors of the file system. */
export async function translated<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw isSystemError(error) ? toStoreError(error, doing) : error;
  }
}
