/**
 * Verifies an archive of the service, on the disk: each file in it by the MD5 that the catalog has, and its directory by what stands
 * before the files. It is read by the records that the service writes, in its order (docs/decisions/0062 has their form).
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { FileJson } from '../../server/wire/files.ts';
import type { FileSink } from './sinks.ts';

/** What an archive has to contain. */
export type Expected = Pick<FileJson, 'md5' | 'size'>;

const LOCAL = 0x0403_4b50;
const CENTRAL = 0x0201_4b50;
const END = 0x0605_4b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
/** From this size on, an entry is written in ZIP64, and its descriptor is longer. */
const LARGE = 0xffff_ffff;
const READ_BYTES = 512 * 1024;

/** What was found of an entry, which the directory has to say, too. */
interface Found {
  name: string;
  crc: number;
}

/** Whether it has exactly these files, in this order. */
export async function isArchiveIntact(
  sink: Pick<FileSink, 'readAt' | 'position'>,
  files: readonly Expected[],
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const found: Found[] = [];
  let at = 0;
  for (const { md5, size } of files) {
    const header = await sink.readAt(at, LOCAL_BYTES);
    if (header.length < LOCAL_BYTES || header.readUInt32LE(0) !== LOCAL) return false;
    const nameLength = header.readUInt16LE(26);
    const name = (await sink.readAt(at + LOCAL_BYTES, nameLength)).toString('utf8');
    const dataAt = at + LOCAL_BYTES + nameLength + header.readUInt16LE(28);
    const read = await digestAt(sink, dataAt, size, onProgress, signal);
    if (read.md5 !== md5) return false;
    found.push({ name, crc: read.crc });
    at = dataAt + size + (size >= LARGE ? 24 : 16);
  }
  return isDirectoryIntact(sink, at, found);
}

async function isDirectoryIntact(
  sink: Pick<FileSink, 'readAt' | 'position'>,
  from: number,
  found: readonly Found[],
): Promise<boolean> {
  let at = from;
  for (const { name, crc } of found) {
    const header = await sink.readAt(at, CENTRAL_BYTES);
    if (header.length < CENTRAL_BYTES || header.readUInt32LE(0) !== CENTRAL) return false;
    const nameLength = header.readUInt16LE(28);
    const told = (await sink.readAt(at + CENTRAL_BYTES, nameLength)).toString('utf8');
    if (told !== name || header.readUInt32LE(16) !== crc) return false;
    at += CENTRAL_BYTES + nameLength + header.readUInt16LE(30);
  }
  const end = await sink.readAt(sink.position() - END_BYTES, END_BYTES);
  return end.length === END_BYTES && end.readUInt32LE(0) === END;
}

async function digestAt(
  sink: Pick<FileSink, 'readAt'>,
  from: number,
  size: number,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<{ md5: string; crc: number }> {
  const hash = createHash('md5');
  let crc = 0;
  for (let left = size; left > 0;) {
    signal.throwIfAborted();
    const chunk = await sink.readAt(from + size - left, Math.min(left, READ_BYTES));
    if (chunk.length === 0) break;
    hash.update(chunk);
    crc = crc32(chunk, crc);
    left -= chunk.length;
    onProgress(from + size - left);
  }
  return { md5: hash.digest('hex'), crc };
}
