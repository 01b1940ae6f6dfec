/** What a recorded process did to its files: the records of record.c, read back. */

const START = 1;
const OPEN = 2;
const CLOSE = 3;
const WRITE = 4;
const FTRUNCATE = 5;
const TRUNCATE = 6;
const SYNC_BEGIN = 7;
const SYNC_END = 8;
const LINK = 9;
const RENAME = 10;
const UNLINK = 11;
const MKDIR = 12;
const RMDIR = 13;
const HEADER_BYTES = 40;

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

/** All records of a log. */
export function readCalls(log: Buffer): Call[] {
  const calls: Call[] = [];
  for (let at = 0; at < log.length;) {
    const bytes = log.readUInt32LE(at);
    calls.push(readCall(log.subarray(at, at + bytes), at + bytes));
    at += bytes;
  }
  return calls;
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
    case WRITE:
      return { ...at, kind: 'write', fd, offset: number, bytes: rest };
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
