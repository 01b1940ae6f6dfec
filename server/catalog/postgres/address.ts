/** Names a catalog in PostgreSQL by its address. */
import { CatalogError } from '../catalog.ts';

/**
 * The address as messages show it: without the password and the parameters.
 *
 * @throws CatalogError `unavailable` where it is not an address of PostgreSQL. The message does not contain the address.
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
    // Without the cause, which contains the password.
    throw noAddress();
  }
}

function noAddress(): CatalogError {
  return new CatalogError(
    'unavailable',
    'the address of the catalog is not postgres://user:password@host:port/database',
  );
}
