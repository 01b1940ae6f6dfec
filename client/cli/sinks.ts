/** The sinks of a download: a part file beside its target, or standard output. */
import { createHash } from 'node:crypto';
import { link, lstat, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { bytesIn, clipRanges, joinRanges, prefixLength, type Range, readRanges } from '../core/ranges.ts';
import { createRecordFolder, stateFolder } from './atomic-file.ts';
import type { Sink } from './download.ts';
import { CliError, describeError } from './errors.ts';
import { type ListParts, openPart } from './part-file.ts';

/** The content of which a part file has some bytes. */
interface PartRecord {
  md5: string;
  etag: string;
  /** Which bytes; missing where the part file is the beginning of the content. */
  ranges?: [number, number][];
}

export interface FileSink extends Sink {
  /** What it has. */
  held(): readonly Range[];
  /** Prepares for `writeAt`: from now on the record says which ranges are there. @param size - of the whole content. */
  scatter(size: number): Promise<void>;
  /** Writes anywhere in the content. The calls of several connections may overlap in time. */
  writeAt(position: number, chunk: Buffer): Promise<void>;
  /** Reads the part file from the disk again: fewer bytes than asked for, where it ends before. */
  readAt(position: number, length: number): Promise<Buffer>;
  /** Computes the MD5 of the part file, which is read from the disk again. */
  digest(onProgress: (bytes: number) => void, signal: AbortSignal): Promise<string>;
  /** Gives the finished file its name. @throws CliError `exists` unless `force`. */
  publish(force: boolean): Promise<void>;
  close(): Promise<void>;
}

const KEEP_MS = 7 * 24 * 3600 * 1000;
/** How often the record is renewed while bytes come: a killed run loses what has come since. */
const RECORD_EVERY_MS = 100;

/**
 * Opens a part file beside the target, with the bytes of the same content that an earlier run has left.
 *
 * @throws CliError `busy` when another run downloads to it.
 */
export async function openFileSink(
  target: string,
  source: { serverUrl: string; md5: string },
  list?: ListParts,
): Promise<FileSink> {
  const record = await openRecord([source.serverUrl, resolve(target)], source.md5);
  const { path: part, handle } = await openPart(target, source.md5, list);
  const { size: partBytes } = await handle.stat();
  let etag = record.left?.etag ?? null;
  let ranges = record.left?.ranges ?? null;
  let held = ranges === null ? clipRanges([{ start: 0, end: partBytes }], partBytes) : clipRanges(ranges, partBytes);

  function position(): number {
    return prefixLength(held) ?? 0;
  }

  async function reset(): Promise<void> {
    await handle.truncate(0);
    held = [];
    ranges = null;
    etag = null;
    await record.write(etag, ranges);
  }

  async function begin(next: string | null): Promise<void> {
    if (next === etag) return;
    etag = next;
    await record.write(etag, ranges);
  }

  async function scatter(size: number): Promise<void> {
    held = clipRanges(held, size);
    ranges = held;
    await record.write(etag, ranges);
    // What lies beyond the content is none of it.
    if ((await handle.stat()).size > size) await handle.truncate(size);
  }

  async function writeAt(at: number, chunk: Buffer): Promise<void> {
    let written = 0;
    while (written < chunk.length) {
      const { bytesWritten } = await handle.write(chunk, written, chunk.length - written, at + written);
      written += bytesWritten;
    }
    held = joinRanges([...held, { start: at, end: at + written }]);
    if (ranges === null) return;
    ranges = held;
    record.writeSoon(etag, ranges);
  }

  async function publish(force: boolean): Promise<void> {
    await handle.sync();
    if (force) await rename(part, target);
    else await renameUnlessTaken(part, target);
    await syncFolder(dirname(target));
    await record.remove();
  }

  async function close(): Promise<void> {
    await handle.close();
    await record.close();
    // There is nothing to resume.
    if (bytesIn(held) === 0) await rm(part, { force: true });
  }

  return {
    position,
    held: () => held,
    etag: () => etag,
    reset,
    begin,
    scatter,
    write: (chunk) => writeAt(position(), chunk),
    writeAt,
    readAt: (at, length) => readAt(handle, at, length),
    digest: (onProgress, signal) => digestOf(handle, onProgress, signal),
    publish,
    close,
  };
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(buffer, read, length - read, position + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
}

async function digestOf(handle: FileHandle, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<string> {
  const hash = createHash('md5');
  const buffer = Buffer.allocUnsafe(512 * 1024);
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
    onProgress(at);
  }
}

/** What a later run has to know of the part file. Where it cannot be written, this run continues, and a later one begins again. */
interface DownloadRecord {
  /** What an earlier run has left for a content with this MD5; null where there is nothing. */
  readonly left: { etag: string; ranges: Range[] | null } | null;
  /** @param ranges - null where the part file is the beginning of the content. */
  write(etag: string | null, ranges: readonly Range[] | null): Promise<void>;
  /** Writes it when the last time is long enough ago, or else at the end. */
  writeSoon(etag: string | null, ranges: readonly Range[]): void;
  remove(): Promise<void>;
  /** Waits until the last state is written. */
  close(): Promise<void>;
}

/** Once in a run, however many files it downloads. */
let pruned: Promise<void> | undefined;

async function openRecord(key: readonly string[], md5: string): Promise<DownloadRecord> {
  const records = createRecordFolder<PartRecord>(join(stateFolder(), 'downloads'), { durable: false });
  pruned ??= records.prune(KEEP_MS);
  await pruned;
  const found = await records.read(key);
  const isOfContent = found?.md5 === md5 && typeof found.etag === 'string';
  /** One write after the other: the last state is the one that stays. */
  let last = Promise.resolve();
  let due: (() => Promise<void>) | null = null;
  let writtenAt = 0;

  function write(etag: string | null, ranges: readonly Range[] | null): Promise<void> {
    due = null;
    writtenAt = performance.now();
    last = last.then(async () => {
      if (etag === null) return records.remove(key);
      const pairs = ranges?.map(({ start, end }): [number, number] => [start, end]);
      return records.write(key, { md5, etag, ...(pairs ? { ranges: pairs } : {}) }).catch(() => {});
    });
    return last;
  }

  return {
    left: isOfContent ? { etag: found.etag, ranges: readRanges(found.ranges) } : null,
    write,
    writeSoon(etag, ranges) {
      due = () => write(etag, ranges);
      if (performance.now() - writtenAt >= RECORD_EVERY_MS) void due();
    },
    async remove() {
      due = null;
      await last;
      await records.remove(key);
    },
    async close() {
      await (due?.() ?? last);
    },
  };
}

/** @throws CliError `exists` when there is anything at `path`, even a dangling link. */
export async function refuseTaken(path: string): Promise<void> {
  const there = await lstat(path).catch(() => null);
  if (there !== null) throw alreadyThere(path);
}

function alreadyThere(path: string): CliError {
  return new CliError('exists', `${path} exists already; --force replaces it`);
}

async function renameUnlessTaken(part: string, target: string): Promise<void> {
  try {
    // A hard link fails where another program has created the target meanwhile; a rename would replace it silently.
    await link(part, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw alreadyThere(target);
    // A file system without hard links.
    await refuseTaken(target);
    await rename(part, target);
    return;
  }
  await rm(part);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  // Some file systems refuse to sync a folder; the file itself is synced.
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/** A sink that writes to standard output. It cannot be reset once it has written. */
export function createStdoutSink(): Sink & { digest(): string } {
  const hash = createHash('md5');
  let position = 0;
  let etag: string | null = null;
  return {
    position: () => position,
    etag: () => etag,
    reset() {
      if (position === 0) return Promise.resolve();
      return Promise.reject(
        new CliError('changed', 'the content changed while it was being written to standard output'),
      );
    },
    begin(next) {
      etag = next;
      return Promise.resolve();
    },
    write(chunk) {
      hash.update(chunk);
      position += chunk.length;
      return new Promise((written, failed) => {
        process.stdout.write(chunk, (error) => {
          if (error) failed(stdoutError(error));
          else written();
        });
      });
    },
    digest: () => hash.copy().digest('hex'),
  };
}

function stdoutError(error: Error): CliError {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') {
    return new CliError('stdout_closed', 'nobody reads standard output any more', { cause: error });
  }
  return new CliError('stdout_failed', `standard output: ${describeError(error)}`, { cause: error });
}
