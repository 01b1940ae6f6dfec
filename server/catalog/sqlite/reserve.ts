/**
 * Room for a full disk: a file beside the database that holds nothing, and parts of
 * which are given back when the database cannot grow. Only the process that has
 * locked the database touches it. Why: docs/decisions/0009-reserve-for-a-full-disk.md.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const LARGEST_BYTES = 8 * 1024 * 1024;
/** Of the whole file system. */
const LARGEST_SHARE = 0.05;
/**
 * Room for dozens of ordinary transactions. Not all at once: whatever else writes to
 * the full disk takes what the database does not.
 */
const STEP_BYTES = 256 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const LOOK_EVERY_MS = 10_000;

export interface Reserve {
  /** Gives a part back to the file system; false when there is none left, or it cannot be given. */
  giveBack(): Promise<boolean>;
  /** Takes what is missing once there is clearly room for it; looks only now and then. Never fails. */
  restore(): Promise<void>;
  /** Resolves when nothing touches the file any more. It stays, for the next start. Never fails. */
  close(): Promise<void>;
}

const randomBytesAsync = promisify(randomBytes);

/**
 * The reserve in the file at `path`, which `restore` makes.
 *
 * @param lookEveryMs - for so long after a `restore` further ones do nothing.
 */
export function createReserve(path: string, lookEveryMs = LOOK_EVERY_MS): Reserve {
  let running: Promise<unknown> = Promise.resolve();
  let giving: Promise<boolean> | undefined;
  let whole = false;
  let nextLook = -Infinity;
  let closed = false;

  /** One after the other: nothing is taken while something is given. Answers false for what failed. */
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
    const wanted = Math.floor(Math.min(LARGEST_BYTES, blocks * bsize * LARGEST_SHARE));
    if (size < wanted) {
      // As much again stays free.
      if (bavail * bsize < wanted - size + wanted) return false;
      await extend(size, wanted);
    }
    return (whole = true);
  }

  async function extend(from: number, to: number): Promise<void> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      for (let at = from; at < to;) {
        // Random, so that a file system that compresses or leaves holes takes room for all of it.
        const chunk = await randomBytesAsync(Math.min(CHUNK_BYTES, to - at));
        at += (await file.write(chunk, 0, chunk.length, at)).bytesWritten;
      }
    } catch (error) {
      // There was less room than it seemed: nothing is taken.
      await file.truncate(from);
      throw error;
    } finally {
      await file.close();
    }
  }

  return {
    giveBack() {
      // Calls that ran out of room together share one part.
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
