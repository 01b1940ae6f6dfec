/**
 * Reads the table `meta` from the database file alone, without its log, and from single pages of a log. SQLite itself
 * always reads both together. Only for a database that this process does not have open: closing a file drops the
 * process's locks on it. SQLite: "Database File Format", sections 1.3, 1.6, 2 and 4.
 */

/** Bytes at a place of a file; fewer where it ends. */
export type ReadAt = (position: number, length: number) => Buffer;

export interface MetaTable {
  /** Whether the database has a log; not where SQLite made a copy of it as a whole (VACUUM INTO). */
  usesLog: boolean;
  pageBytes: number;
  /** The number of the one page that has the whole table. */
  page: number;
  rows: Map<string, string>;
}

/** In the header: 2 where the database has a log (SQLite: "Database File Format", section 1.3.3). */
export const READ_VERSION_AT = 19;
export const WITH_LOG = 2;

const TYPES = { interiorTable: 5, leafIndex: 10, leafTable: 13 };
const FIRST_HEADER_BYTES = 100;
/** A schema has a few pages. A damaged file may seem to have any number. */
const MOST_SCHEMA_PAGES = 100;

/** Reads the table; undefined where there is none, or where it cannot be read. */
export function readMetaTable(readAt: ReadAt): MetaTable | undefined {
  try {
    const size = readAt(16, 2).readUInt16BE();
    const pageBytes = size === 1 ? 65_536 : size;
    const page = findRoot(readAt, pageBytes);
    if (page === undefined) return undefined;
    const rows = readMetaPage(readAt((page - 1) * pageBytes, pageBytes));
    const usesLog = readAt(READ_VERSION_AT, 1).readUInt8() === WITH_LOG;
    return rows && { usesLog, pageBytes, page, rows };
  } catch (error) {
    // Beyond the end of the file, or of a page.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Reads the rows of the table's page; undefined where `page` is not one. */
export function readMetaPage(page: Buffer): Map<string, string> | undefined {
  try {
    if (page.readUInt8(0) !== TYPES.leafIndex) return undefined;
    const rows = new Map<string, string>();
    for (const at of cellsOf(page, 0)) {
      const [key, value] = readRecord(page, at + varint(page, at).length, 2);
      if (typeof key === 'string' && typeof value === 'string') rows.set(key, value);
    }
    return rows;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Finds the root page of `meta` in the schema table, whose root is page 1. */
function findRoot(readAt: ReadAt, pageBytes: number): number | undefined {
  const waiting = [1];
  for (let seen = 0; waiting.length > 0 && seen < MOST_SCHEMA_PAGES; seen++) {
    const number = waiting.pop() ?? 1;
    const page = readAt((number - 1) * pageBytes, pageBytes);
    const header = number === 1 ? FIRST_HEADER_BYTES : 0;
    const type = page.readUInt8(header);
    if (type === TYPES.interiorTable) {
      waiting.push(page.readUInt32BE(header + 8));
      for (const at of cellsOf(page, header)) waiting.push(page.readUInt32BE(at));
    } else if (type === TYPES.leafTable) {
      for (const at of cellsOf(page, header)) {
        const payload = at + varint(page, at).length;
        // type, name, tbl_name, rootpage
        const record = readRecord(page, payload + varint(page, payload).length, 4);
        if (record[0] === 'table' && record[1] === 'meta' && typeof record[3] === 'number') return record[3];
      }
    }
  }
  return undefined;
}

/** Where the cells of a page begin. */
function cellsOf(page: Buffer, header: number): number[] {
  const pointers = header + (page.readUInt8(header) === TYPES.interiorTable ? 12 : 8);
  return Array.from({ length: page.readUInt16BE(header + 3) }, (_, index) => page.readUInt16BE(pointers + index * 2));
}

/** The first columns of a record; those that are neither text nor a small number are null. */
function readRecord(page: Buffer, start: number, columns: number): (string | number | null)[] {
  const headerBytes = varint(page, start);
  let typeAt = start + headerBytes.length;
  let at = start + headerBytes.value;
  const values: (string | number | null)[] = [];
  while (values.length < columns && typeAt < start + headerBytes.value) {
    const type = varint(page, typeAt);
    typeAt += type.length;
    const bytes = bytesOf(type.value);
    if (at + bytes > page.length) throw new RangeError('beyond the page');
    if (type.value >= 13 && type.value % 2 === 1) values.push(page.toString('utf8', at, at + bytes));
    else if (type.value >= 1 && type.value <= 5) values.push(page.readIntBE(at, bytes));
    else if (type.value === 8 || type.value === 9) values.push(type.value - 8);
    else values.push(null);
    at += bytes;
  }
  return values;
}

/** The length of a value, by its serial type. */
function bytesOf(type: number): number {
  if (type >= 12) return Math.floor((type - 12) / 2);
  return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0][type] ?? 0;
}

function varint(page: Buffer, at: number): { value: number; length: number } {
  let value = 0;
  for (let length = 1; length <= 8; length++) {
    const byte = page.readUInt8(at + length - 1);
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, length };
  }
  return { value: value * 256 + page.readUInt8(at + 8), length: 9 };
}
