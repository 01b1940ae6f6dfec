/** What a recorded process did to its files: the records of record.c, read back. */

const START = 1;
const OPEN = 2;
const CLOSE = 3;
const WRITE_BEGIN = 4;
const FTRUNCATE = 5;
const TRUNCATE = 6;
const SYNC_BEGIN = 7;
const SYNC_END = 8;
const LINK = 9;
const RENAME = 10;
const UNLINK = 11;
const MKDIR = 12;
const RMDIR = 13;
const WRITE_END = 14;
const HEADER_BYTES = 40;
const MAGIC = 0x7d1de3a2;
const MAGIC_AT = 36;

/** One record. `time` is the size of the log with it: what a client heard at a later size came after it. */
export type Call = { time: number; pid: number } & (
  | { kind: 'start' }
  | { kind: 'open'; fd: number; flags: number; path: string }
  | { kind: 'close'; fd: number }
  | { kind: 'write'; fd: number; offset: number; bytes: Buffer }
  | { kind: 'ftruncate'; fd: number; size: number }
  | { kind: 'truncate'; path: string; size: number }
  | { kind: 'syncBegin'; fd: number; token: bigint }
  | { kind: 'syncEnd'; fd: number; token: bigint; failed: boolean }
  | { kind: 'link' | 'rename'; path: string; to: string }
  | { kind: 'unlink' | 'mkdir' | 'rmdir'; path: string }
);

type Write = Extract<Call, { kind: 'write' }>;

/**
 * All calls of a log, in the order in which they returned. A process that ended in a write may have made it: then the write
 * counts, before the next process starts. What was cut off in the log itself had not been done.
 */
export function readCalls(log: Buffer): Call[] {
  const calls: Call[] = [];
  /** Begun and not ended, by process and token. */
  const writing = new Map<string, Write>();
  for (let at = 0; at < log.length;) {
    const next = endOf(log, at);
    if (next === undefined) {
      at = nextRecord(log, at + 1);
      continue;
    }
    const record = log.subarray(at, next);
    at = next;
    const kind = record.readUInt16LE(4);
    const write = `${record.readInt32LE(8)} ${record.readBigInt64LE(24)}`;
    if (kind === WRITE_BEGIN) {
      writing.set(write, readWrite(record));
      continue;
    }
    if (kind === START) {
      for (const left of writing.values()) calls.push({ ...left, time: next });
      writing.clear();
    }
    const begun = writing.get(write);
    if (kind !== WRITE_END) calls.push(readCall(record, next));
    else if (begun) {
      writing.delete(write);
      const bytes = begun.bytes.subarray(0, Number(record.readBigInt64LE(16)));
      if (bytes.length > 0) calls.push({ ...begun, bytes, time: next });
    }
  }
  for (const left of writing.values()) calls.push({ ...left, time: log.length });
  return calls;
}

/** Where the record at `at` ends; undefined where it was cut off. */
function endOf(log: Buffer, at: number): number | undefined {
  if (at + HEADER_BYTES > log.length) return undefined;
  const end = at + log.readUInt32LE(at);
  return end === log.length || isRecord(log, end) ? end : undefined;
}

function isRecord(log: Buffer, at: number): boolean {
  return at + HEADER_BYTES <= log.length && log.readUInt32LE(at + MAGIC_AT) === MAGIC;
}

/** The next place from `from` on where a record begins; the end of the log where there is none. */
function nextRecord(log: Buffer, from: number): number {
  for (let at = from; at + HEADER_BYTES <= log.length; at++) if (isRecord(log, at)) return at;
  return log.length;
}

function readWrite(record: Buffer): Write {
  return {
    time: 0,
    pid: record.readInt32LE(8),
    kind: 'write',
    fd: record.readInt32LE(12),
    offset: Number(record.readBigInt64LE(16)),
    bytes: record.subarray(HEADER_BYTES),
  };
}

function readCall(record: Buffer, time: number): Call {
  const kind = record.readUInt16LE(4);
  const at = { time, pid: record.readInt32LE(8) };
  const fd = record.readInt32LE(12);
  const number = Number(record.readBigInt64LE(16));
  const nameEnd = HEADER_BYTES + record.readUInt32LE(32);
  const path = record.toString('utf8', HEADER_BYTES, nameEnd);
  const rest = record.subarray(nameEnd);
  switch (kind) {
    case START:
      return { ...at, kind: 'start' };
    case OPEN:
      return { ...at, kind: 'open', fd, flags: number, path };
    case CLOSE:
      return { ...at, kind: 'close', fd };
    case FTRUNCATE:
      return { ...at, kind: 'ftruncate', fd, size: number };
    case TRUNCATE:
      return { ...at, kind: 'truncate', path, size: number };
    case SYNC_BEGIN:
      return { ...at, kind: 'syncBegin', fd, token: record.readBigInt64LE(16) };
    case SYNC_END:
      return { ...at, kind: 'syncEnd', fd, token: record.readBigInt64LE(16), failed: record.readUInt16LE(6) !== 0 };
    case LINK:
    case RENAME:
      return { ...at, kind: kind === LINK ? 'link' : 'rename', path, to: rest.toString() };
    case UNLINK:
    case MKDIR:
    case RMDIR:
      return { ...at, kind: kind === UNLINK ? 'unlink' : kind === MKDIR ? 'mkdir' : 'rmdir', path };
    default:
      throw new Error(`a record of kind ${kind}`);
  }
}
