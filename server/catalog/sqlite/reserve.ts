/**
 * The reserve: a file beside the database without any content of use. When the disk is full, it is shortened, so that the
 * database can grow. Only the process that has locked the database uses it. Why:
 * docs/decisions/0009-reserve-for-a-full-disk.md.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

export const LARGEST_RESERVE_BYTES = 8 * 1024 * 1024;
/** The reserve's largest share of the whole file system. */
const LARGEST_SHARE = 0.05;
/**
 * How much is given back at a time: room for dozens of ordinary transactions. Not all at once, as other programs that
 * write to the full disk would use it up.
 */
const STEP_BYTES = 256 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const LOOK_EVERY_MS = 10_000;

export interface Reserve {
  /** Gives a part of the file back to the file system. @returns false when there is none left, or when it fails. */
  giveBack(): Promise<boolean>;
  /** Lets the file grow to its full size where there is clearly room; at most every ten seconds. Never fails. */
  restore(): Promise<void>;
  /** Resolves when nothing uses the file any more. The file stays, for the next start. Never fails. */
  close(): Promise<void>;
}

const randomBytesAsync = promisify(randomBytes);

/**
 * The reserve in the file at `path`, which `restore` creates.
 *
 * @param lookEveryMs - for this long after a `restore`, further calls do nothing.
 */
export function createReserve(path: string, lookEveryMs = LOOK_EVERY_MS): Reserve {
  let running: Promise<unknown> = Promise.resolve();
  let giving: Promise<boolean> | undefined;
  let whole = false;
  let nextLook = -Infinity;
  let closed = false;

  /** Runs one action after the other, so that the file never grows and shrinks at once. @returns false where it fails. */
  function inTurn(action: () => Promise<boolean>): Promise<boolean> {
    const result = running.then(() => !closed && action()).catch(() => false);
    running = result;
    return result;
  }

  async function shrink(): Promise<boolean> {
    whole = false;
    const file = await open(path, 'r+');
    try {
      const { size } = await file.stat();
      await file.truncate(Math.max(0, size - STEP_BYTES));
      return size > 0;
    } finally {
      await file.close();
    }
  }

  async function grow(): Promise<boolean> {
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    const { bavail, blocks, bsize } = await statfs(dirname(path));
    const wanted = Math.floor(Math.min(LARGEST_RESERVE_BYTES, blocks * bsize * LARGEST_SHARE));
    if (size < wanted) {
      // Only where another `wanted` bytes stay free.
      if (bavail * bsize < wanted - size + wanted) return false;
      await extend(size, wanted);
    }
    return (whole = true);
  }

  async function extend(from: number, to: number): Promise<void> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      for (let at = from; at < to;) {
        // Random, so that a file system that compresses or stores holes needs room for all of it, too.
        const chunk = await randomBytesAsync(Math.min(CHUNK_BYTES, to - at));
        at += (await file.write(chunk, 0, chunk.length, at)).bytesWritten;
      }
    } catch (error) {
      // There was less room than it seemed: give back what was written.
      await file.truncate(from);
      throw error;
    } finally {
      await file.close();
    }
  }

  return {
    giveBack() {
      // Calls that run out of room at the same time share one part.
      giving ??= inTurn(shrink).finally(() => {
        giving = undefined;
      });
      return giving;
    },

    async restore() {
      if (whole || closed || performance.now() < nextLook) return;
      nextLook = performance.now() + lookEveryMs;
      await inTurn(grow);
    },

    async close() {
      closed = true;
      await running;
    },
  };
}
