/** Where a catalog in PostgreSQL is, by its address. */
import { CatalogError } from '../catalog.ts';

/**
 * The address for people: without the password and what else is set in it.
 *
 * @throws CatalogError `unavailable` when it is no address of PostgreSQL. The address itself is not told.
 */
export function nameOf(url: string): string {
  const { protocol, username, host, pathname } = parse(url);
  if (protocol !== 'postgres:' && protocol !== 'postgresql:') throw noAddress();
  return `postgres://${username === '' ? '' : `${username}@`}${host}${pathname}`;
}

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch {
    // Without the cause, which has the password in it.
    throw noAddress();
  }
}

function noAddress(): CatalogError {
  return new CatalogError(
    'unavailable',
    'the address of the catalog is not postgres://user:password@host:port/database',
  );
}
