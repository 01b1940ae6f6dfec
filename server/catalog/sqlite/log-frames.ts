/**
 * Reads the frames of a log (`-wal`) that SQLite would apply: those of the log's generation, in order, up to the first
 * with a wrong checksum, and of these up to the last commit. SQLite, too, ignores what follows: it is of an earlier
 * generation, or was torn by a power cut. SQLite: "WAL-mode File Format", sections 4.2 and 4.3.
 */
import type { ReadAt } from './database-file.ts';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The magic number; its last bit is the byte order of the checksums. */
const MAGIC = 0x377f0682;

export interface Frame {
  /** Number of the page; the first is 1. */
  page: number;
  bytes: Buffer;
}

/** Reads the committed frames. @returns undefined where the file does not begin as a log. */
export function readFrames(readAt: ReadAt, size: number): Iterable<Frame> | undefined {
  const header = readAt(0, HEADER_BYTES);
  if (header.length < HEADER_BYTES || (header.readUInt32BE(0) & ~1) !== MAGIC) return undefined;
  return committedFrames(readAt, size, header);
}

function* committedFrames(readAt: ReadAt, size: number, header: Buffer): Iterable<Frame> {
  const salts = header.subarray(16, 24);
  const step = FRAME_HEADER_BYTES + header.readUInt32BE(8);
  const sum = startChecksum((header.readUInt32BE(0) & 1) === 1);
  if (!sum.add(header.subarray(0, 24)).equals(header.subarray(24, 32))) return;
  /** Frames of a transaction whose commit is not read yet. */
  let open: Frame[] = [];
  for (let at = HEADER_BYTES; at + step <= size; at += step) {
    const frame = readAt(at, step);
    const bytes = frame.subarray(FRAME_HEADER_BYTES);
    if (frame.length < step || !frame.subarray(8, 16).equals(salts)) return;
    if (!sum.add(frame.subarray(0, 8)).add(bytes).equals(frame.subarray(16, 24))) return;
    open.push({ page: frame.readUInt32BE(0), bytes });
    // The database's size: only the last frame of a commit has it.
    if (frame.readUInt32BE(4) === 0) continue;
    yield* open;
    open = [];
  }
}

interface Checksum {
  /** Adds these bytes, eight at a time. */
  add(bytes: Buffer): Checksum;
  /** Whether the checksum equals a stored one, which is big-endian. */
  equals(written: Buffer): boolean;
}

function startChecksum(isBigEndian: boolean): Checksum {
  let [first, second] = [0, 0];
  const checksum: Checksum = {
    add(bytes) {
      for (let at = 0; at + 8 <= bytes.length; at += 8) {
        const [one, two] = isBigEndian
          ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
          : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
        first = (first + one + second) >>> 0;
        second = (second + two + first) >>> 0;
      }
      return checksum;
    },
    equals: (written) => written.readUInt32BE(0) === first && written.readUInt32BE(4) === second,
  };
  return checksum;
}
