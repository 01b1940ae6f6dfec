/** The sinks of a download: a part file beside its target, or standard output. */
import { createHash } from 'node:crypto';
import { link, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createRecordFolder, stateFolder } from './atomic-file.ts';
import type { Sink } from './download.ts';
import { CliError, describeError } from './errors.ts';
import { openPart } from './part-file.ts';

/** The content of which a part file has the beginning. */
interface PartRecord {
  md5: string;
  etag: string;
}

export interface FileSink extends Sink {
  /** Computes the MD5 of the part file, which is read from the disk again. */
  digest(onProgress: (bytes: number) => void, signal: AbortSignal): Promise<string>;
  /** Gives the finished file its name. @throws CliError `exists` unless `force`. */
  publish(force: boolean): Promise<void>;
  close(): Promise<void>;
}

const KEEP_MS = 7 * 24 * 3600 * 1000;

/**
 * Opens a part file beside the target, with the bytes of the same content that an earlier run has left.
 *
 * @throws CliError `busy` when another run downloads to it.
 */
export async function openFileSink(target: string, source: { serverUrl: string; md5: string }): Promise<FileSink> {
  const records = createRecordFolder<PartRecord>(join(stateFolder(), 'downloads'), { durable: false });
  const key = [source.serverUrl, resolve(target)];
  await records.prune(KEEP_MS);
  const record = await records.read(key);
  const { path: part, handle } = await openPart(target, source.md5);
  let etag: string | null = null;
  let position = (await handle.stat()).size;
  if (record?.md5 === source.md5 && typeof record.etag === 'string') etag = record.etag;

  async function reset(): Promise<void> {
    await handle.truncate(0);
    position = 0;
    etag = null;
  }

  async function begin(next: string | null): Promise<void> {
    if (next === etag) return;
    etag = next;
    // Where the record cannot be written, this run continues, and a later run would begin again.
    if (etag === null) await records.remove(key);
    else await records.write(key, { md5: source.md5, etag }).catch(() => {});
  }

  async function write(chunk: Buffer): Promise<void> {
    let written = 0;
    while (written < chunk.length) {
      const { bytesWritten } = await handle.write(chunk, written, chunk.length - written);
      written += bytesWritten;
      position += bytesWritten;
    }
  }

  async function digest(onProgress: (bytes: number) => void, signal: AbortSignal): Promise<string> {
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

  async function publish(force: boolean): Promise<void> {
    await handle.sync();
    if (force) await rename(part, target);
    else await renameUnlessTaken(part, target);
    await syncFolder(dirname(target));
    await records.remove(key);
  }

  async function close(): Promise<void> {
    await handle.close();
    // There is nothing to resume.
    if (position === 0) await rm(part, { force: true });
  }

  return {
    position: () => position,
    etag: () => etag,
    reset,
    begin,
    write,
    digest,
    publish,
    close,
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
