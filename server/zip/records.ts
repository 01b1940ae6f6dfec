/**
 * The records of a ZIP file, as bytes (PKWARE APPNOTE 6.3). The bytes of its entries are stored as they are. Why each has a data
 * descriptor: docs/decisions/0062-archives.md.
 */

/** An entry: where its name may be a path, its parts are separated by `/`. */
export interface Entry {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

/** From here on, 32 bits do not hold a size or an offset: it stands in a ZIP64 field (4.4.1.4). */
const MOST_32 = 0xffff_ffff;
/** The same for 16 bits and the number of entries. */
const MOST_16 = 0xffff;

/** Bit 3: CRC and sizes follow the bytes, in the data descriptor. Bit 11: names are in UTF-8 (4.4.4). */
const FLAGS = 0x0808;
/** Method 0: stored (4.4.5). */
const STORED = 0;
/** 2.0 is the least (4.4.3.2); 4.5 has ZIP64. */
const NEEDS = 20;
const NEEDS_ZIP64 = 45;
/** UNIX, and version 6.3 of the specification (4.4.2): so readers know where names are in UTF-8, and find the mode below. */
const MADE_BY = 0x033f;
/** A plain file that its owner may write and all may read, where UNIX has it (4.4.15). */
const MODE = 0o100644 * 0x1_0000;

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
/** Info-ZIP's extended timestamp, tag `UT`: the time in UTC, which the DOS fields do not say. */
const TIME_BYTES = 9;
const END_BYTES = 22;
const END_ZIP64_BYTES = 56;
const LOCATOR_BYTES = 20;

/** Whether an entry's size needs ZIP64. It shows in its local header, by which readers know the form of the descriptor (4.3.9.2). */
function isLarge({ size }: Entry): boolean {
  return size >= MOST_32;
}

/** How many bytes come before the entry's own. */
export function localLength(entry: Entry): number {
  return LOCAL_BYTES + Buffer.byteLength(entry.name) + TIME_BYTES + (isLarge(entry) ? 20 : 0);
}

/** What comes before the bytes of an entry (4.3.7). */
export function localHeader(entry: Entry): Buffer {
  const name = Buffer.from(entry.name);
  const zip64 = isLarge(entry);
  const header = Buffer.alloc(LOCAL_BYTES);
  header.writeUInt32LE(0x0403_4b50, 0);
  writeCommon(header, 4, entry, zip64);
  // The CRC and the sizes stand in the descriptor. Where the ZIP64 field is there, 32-bit fields point to it (4.5.3).
  if (zip64) {
    header.writeUInt32LE(MOST_32, 18);
    header.writeUInt32LE(MOST_32, 22);
  }
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(TIME_BYTES + (zip64 ? 20 : 0), 28);
  return Buffer.concat([header, name, ...(zip64 ? [zip64Field([0, 0])] : []), timeField(entry)]);
}

/** How many bytes follow the entry's own. */
export function descriptorLength(entry: Entry): number {
  return isLarge(entry) ? 24 : 16;
}

/** The data descriptor, which follows the bytes of an entry (4.3.9); with its signature, without which macOS does not find it. */
export function descriptor(entry: Entry, crc32: number): Buffer {
  const record = Buffer.alloc(descriptorLength(entry));
  record.writeUInt32LE(0x0807_4b50, 0);
  record.writeUInt32LE(crc32, 4);
  if (isLarge(entry)) {
    record.writeBigUInt64LE(BigInt(entry.size), 8);
    record.writeBigUInt64LE(BigInt(entry.size), 16);
  } else {
    record.writeUInt32LE(entry.size, 8);
    record.writeUInt32LE(entry.size, 12);
  }
  return record;
}

/** The values of an entry's ZIP64 field in the central directory: only those that 32 bits do not hold (4.5.3). */
function largeValues(entry: Entry, offset: number): number[] {
  return [...(isLarge(entry) ? [entry.size, entry.size] : []), ...(offset >= MOST_32 ? [offset] : [])];
}

function zip64Length(values: readonly number[]): number {
  return values.length === 0 ? 0 : 4 + values.length * 8;
}

/** How many bytes an entry has in the central directory. @param offset - of its local header. */
export function centralLength(entry: Entry, offset: number): number {
  return CENTRAL_BYTES + Buffer.byteLength(entry.name) + TIME_BYTES + zip64Length(largeValues(entry, offset));
}

/** An entry's header in the central directory (4.3.12). @param offset - of its local header. */
export function centralHeader(entry: Entry, offset: number, crc32: number): Buffer {
  const name = Buffer.from(entry.name);
  const values = largeValues(entry, offset);
  const header = Buffer.alloc(CENTRAL_BYTES);
  header.writeUInt32LE(0x0201_4b50, 0);
  header.writeUInt16LE(MADE_BY, 4);
  writeCommon(header, 6, entry, values.length > 0);
  header.writeUInt32LE(crc32, 16);
  header.writeUInt32LE(Math.min(entry.size, MOST_32), 20);
  header.writeUInt32LE(Math.min(entry.size, MOST_32), 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(TIME_BYTES + zip64Length(values), 30);
  header.writeUInt32LE(MODE, 38);
  header.writeUInt32LE(Math.min(offset, MOST_32), 42);
  return Buffer.concat([header, name, ...(values.length > 0 ? [zip64Field(values)] : []), timeField(entry)]);
}

/** Where the central directory is, and how many entries it has. */
export interface Central {
  count: number;
  offset: number;
  size: number;
}

function needsZip64({ count, offset, size }: Central): boolean {
  return count >= MOST_16 || offset >= MOST_32 || size >= MOST_32;
}

/** How many bytes `endRecords` returns. */
export function endLength(central: Central): number {
  return END_BYTES + (needsZip64(central) ? END_ZIP64_BYTES + LOCATOR_BYTES : 0);
}

/** What stands at the end (4.3.14 to 4.3.16). */
export function endRecords(central: Central): Buffer {
  const { count, offset, size } = central;
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt32LE(0x0605_4b50, 0);
  end.writeUInt16LE(Math.min(count, MOST_16), 8);
  end.writeUInt16LE(Math.min(count, MOST_16), 10);
  end.writeUInt32LE(Math.min(size, MOST_32), 12);
  end.writeUInt32LE(Math.min(offset, MOST_32), 16);
  if (!needsZip64(central)) return end;
  const large = Buffer.alloc(END_ZIP64_BYTES);
  large.writeUInt32LE(0x0606_4b50, 0);
  // Of what follows this field.
  large.writeBigUInt64LE(BigInt(END_ZIP64_BYTES - 12), 4);
  large.writeUInt16LE(MADE_BY, 12);
  large.writeUInt16LE(NEEDS_ZIP64, 14);
  large.writeBigUInt64LE(BigInt(count), 24);
  large.writeBigUInt64LE(BigInt(count), 32);
  large.writeBigUInt64LE(BigInt(size), 40);
  large.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(LOCATOR_BYTES);
  locator.writeUInt32LE(0x0706_4b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([large, locator, end]);
}

/** What local and central headers have in common, from the version that is needed to the date. */
function writeCommon(header: Buffer, at: number, { modifiedAt }: Entry, zip64: boolean): void {
  const { time, date } = dosTime(modifiedAt);
  header.writeUInt16LE(zip64 ? NEEDS_ZIP64 : NEEDS, at);
  header.writeUInt16LE(FLAGS, at + 2);
  header.writeUInt16LE(STORED, at + 4);
  header.writeUInt16LE(time, at + 6);
  header.writeUInt16LE(date, at + 8);
}

function zip64Field(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + values.length * 8);
  field.writeUInt16LE(0x0001, 0);
  field.writeUInt16LE(values.length * 8, 2);
  values.forEach((value, index) => field.writeBigUInt64LE(BigInt(value), 4 + index * 8));
  return field;
}

function timeField({ modifiedAt }: Entry): Buffer {
  const field = Buffer.alloc(TIME_BYTES);
  field.write('UT', 0, 'latin1');
  field.writeUInt16LE(TIME_BYTES - 4, 2);
  // Only the time of the last change.
  field.writeUInt8(1, 4);
  // 32 bits with a sign, as the field's specification says: until 2038.
  field.writeInt32LE(Math.min(Math.max(0, Math.floor(modifiedAt / 1000)), 0x7fff_ffff), 5);
  return field;
}

/**
 * A time as DOS writes it (4.4.6), to two seconds. The zone is not part of it: it is in UTC here, so that every node writes
 * the same bytes.
 */
function dosTime(time: number): { time: number; date: number } {
  const at = new Date(Math.min(Math.max(time, Date.UTC(1980, 0)), Date.UTC(2107, 11, 31)));
  return {
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
  };
}
