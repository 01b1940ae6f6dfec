/** A regular file that is being sent. Each read checks that the file has not changed, so that one state of it is sent. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { withDescriptor } from './descriptors.ts';
import { CliError } from './errors.ts';

const READ_BYTES = 512 * 1024;

/** What distinguishes one state of a file from another. */
export interface FileIdentity {
  path: string;
  size: number;
  mtimeNs: string;
  /** No program can set it: it shows changes that left size and mtime as they were. */
  ctimeNs: string;
  inode: string;
}

/** Reading the file gives more or fewer bytes than its size, as in /proc and /sys. */
export class SizeUntrueError extends CliError {
  constructor(size: number, given: 'more' | 'fewer') {
    super('size_untrue', `says that it has ${size} bytes, but reading it gives ${given}`);
    this.name = 'SizeUntrueError';
  }
}

export interface LocalFile {
  readonly identity: FileIdentity;
  readonly name: string;
  readonly size: number;
  /**
   * Reads the bytes from `start` up to `end`. The memory of a chunk is reused for the chunk after the next one.
   *
   * @throws CliError `file_changed` as soon as the file is not as it was when it was opened; SizeUntrueError.
   */
  read(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined>;
  /** @throws CliError `file_changed` */
  verifyUnchanged(): Promise<void>;
  /** Checks that the file ends where its size says. @throws CliError `file_changed`, SizeUntrueError. */
  verifyEnd(): Promise<void>;
  /** Reads to the end of the file, whatever its size says. */
  stream(): Readable;
  close(): Promise<void>;
}

/**
 * Opens a regular file, and keeps it open.
 *
 * @param place - its path; as bytes where it is not UTF-8, and then its name has U+FFFD for what is not.
 * @param signal - ends the wait for a file descriptor.
 * @throws CliError `is_folder`, `not_a_file`, or an error of the file system.
 */
export async function openLocalFile(place: string | Buffer, signal: AbortSignal): Promise<LocalFile> {
  const path = place.toString();
  // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
  const handle = await withDescriptor(() => open(place, constants.O_RDONLY | constants.O_NONBLOCK), signal);
  try {
    const opened = await handle.stat({ bigint: true });
    if (opened.isDirectory()) throw new CliError('is_folder', 'is a folder; add --recursive to upload what is in it');
    if (!opened.isFile()) {
      throw new CliError(
        'not_a_file',
        'is not a regular file; what it gives can be piped in: tidemark upload - --name <name>',
      );
    }
    const identity: FileIdentity = {
      path: resolve(path),
      size: Number(opened.size),
      mtimeNs: String(opened.mtimeNs),
      ctimeNs: String(opened.ctimeNs),
      inode: `${opened.dev}:${opened.ino}`,
    };
    return watched(handle, identity);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function watched(handle: FileHandle, identity: FileIdentity): LocalFile {
  const { size } = identity;

  async function verifyUnchanged(): Promise<void> {
    const now = await handle.stat({ bigint: true });
    if (now.nlink === 0n) throw changed('was deleted or replaced while it was being read');
    if (Number(now.size) < size) throw changed(`shrank while it was being read, from ${size} to ${now.size} bytes`);
    if (Number(now.size) > size) throw changed(`grew while it was being read, from ${size} to ${now.size} bytes`);
    const isSame = String(now.mtimeNs) === identity.mtimeNs && String(now.ctimeNs) === identity.ctimeNs;
    if (!isSame) throw changed('was changed while it was being read');
  }

  async function verifyEnd(): Promise<void> {
    const { bytesRead } = await handle.read(Buffer.allocUnsafe(1), 0, 1, size);
    await verifyUnchanged();
    if (bytesRead > 0) throw new SizeUntrueError(size, 'more');
  }

  async function* read(start: number, end: number): AsyncGenerator<Uint8Array, void, undefined> {
    const length = Math.min(READ_BYTES, Math.max(end - start, 1));
    const buffers = [Buffer.allocUnsafe(length), Buffer.allocUnsafe(length)];
    let turn = 0;

    async function readAt(position: number): Promise<Uint8Array> {
      const buffer = buffers[turn] as Buffer;
      turn = 1 - turn;
      const wanted = Math.min(length, end - position);
      const { bytesRead } = await handle.read(buffer, 0, wanted, position);
      // Checked after the read: a change before the read is noticed before its bytes are sent.
      await verifyUnchanged();
      if (bytesRead === 0) throw new SizeUntrueError(size, 'fewer');
      return buffer.subarray(0, bytesRead);
    }

    // One chunk ahead: the disk reads while the connection sends.
    let ahead: Promise<Uint8Array> | null = null;
    let position = start;
    try {
      while (position < end) {
        const chunk = await (ahead ?? readAt(position));
        position += chunk.length;
        ahead = position < end ? readAt(position) : null;
        // Awaited in the next round; until then a failure must not count as unhandled.
        ahead?.catch(() => {});
        yield chunk;
      }
    } finally {
      await ahead?.catch(() => {});
    }
  }

  return {
    identity,
    name: basename(identity.path),
    size,
    read,
    verifyUnchanged,
    verifyEnd,
    // Begins at the first byte: the reads before were positional, and did not move the file's own position.
    stream: () => handle.createReadStream({ autoClose: false }),
    close: () => handle.close(),
  };
}

function changed(what: string): CliError {
  return new CliError('file_changed', `the file ${what}; upload it again once it no longer changes`);
}
