/** Cursors of listings: opaque to clients, and valid only with the sort and direction of their listing. */
import { CatalogError } from './catalog.ts';
import type { FileSort } from './catalog.ts';

/** The place of a file in a sorted listing: the value by which it is sorted, then its id. */
export interface Position {
  value: string | number;
  id: string;
}

type Listing = { sort: FileSort; descending: boolean };

/** Writes the cursor of a page that begins after `last`. */
export function encodeCursor(listing: Listing, last: Position): string {
  const fields = [listing.sort, listing.descending, last.value, last.id];
  return Buffer.from(JSON.stringify(fields)).toString('base64url');
}

/**
 * Reads what `encodeCursor` wrote.
 *
 * @throws CatalogError `invalid_cursor`.
 */
export function decodeCursor(listing: Listing, cursor: string): Position {
  const fields = parse(cursor);
  if (fields?.length !== 4) throw invalidCursor('it is not one of this service');
  const [sort, descending, value, id] = fields;
  if (sort !== listing.sort || descending !== listing.descending) {
    throw invalidCursor('it belongs to a listing in another order');
  }
  const fits = sort === 'name' ? typeof value === 'string' : Number.isSafeInteger(value);
  if (!fits || typeof id !== 'string') throw invalidCursor('it is not one of this service');
  return { value: value as string | number, id };
}

/** Writes the cursor of a listing that has positions of its own. @param kind - of the listing, with what it depends on. */
export function encodeFields(kind: readonly unknown[], position: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([kind, position])).toString('base64url');
}

/** Reads what `encodeFields` wrote: the position. @throws CatalogError `invalid_cursor`. */
export function decodeFields(kind: readonly unknown[], cursor: string): unknown[] {
  const [of, position, ...more] = parse(cursor) ?? [];
  if (!Array.isArray(of) || !Array.isArray(position) || more.length > 0) {
    throw invalidCursor('it is not one of this service');
  }
  if (JSON.stringify(of) !== JSON.stringify(kind)) throw invalidCursor('it belongs to a listing in another order');
  return position;
}

function parse(cursor: string): unknown[] | undefined {
  try {
    const fields: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(fields) ? fields : undefined;
  } catch {
    return undefined;
  }
}

/** The refusal of a cursor. */
export function invalidCursor(why: string): CatalogError {
  return new CatalogError('invalid_cursor', `The cursor cannot be used: ${why}.`);
}
