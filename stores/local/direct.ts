/**
 * Writes large pieces of a file past the page cache, from the caller's memory to the disk (open(2), O_DIRECT). The bytes are
 * synced anyway before anybody hears of them, and hashed as they come: a copy of them in the page cache may cost as much as
 * receiving them. See docs/decisions/0066-past-the-page-cache.md.
 *
 * Only whole blocks can be written so, from memory that is aligned like them. All else goes through the page cache as ever,
 * and so does everything on other file systems than those below, and on other platforms.
 */
import { closeSync, constants, fstatSync, openSync, statfsSync, writev } from 'node:fs';
import { promisify } from 'node:util';
import { afterBytes, bytesIn } from '../chunks.ts';
import { isSystemError } from './errors.ts';

const writevAsync = promisify(writev);

/** What offsets, lengths and addresses are multiples of: no disk has larger blocks. */
export const BLOCK_BYTES = 4096;
/**
 * Less goes through the page cache: a write past it waits for the disk. With so many uploads at once that their batches are
 * smaller (see WAITING_BYTES of the intake), the page cache is quicker and costs less.
 */
const LEAST_BYTES = 512 * 1024;

/**
 * File systems that let a file grow only once all bytes of a write are stored, and end no such write before, also where the process
 * is killed (statfs(2): ext4, XFS). A recovery trusts what a file has. Others may leave a hole: Btrfs lets the file grow
 * first, and network drives send a write as several.
 */
const FILE_SYSTEMS = new Set([0xef53, 0x58465342]);
/** The most files that are written so at a time: each takes a second descriptor. */
const MOST_OPEN = 64;
/** What a file system says that cannot do it after all. */
const REFUSALS = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']);

/** The next write of a file. */
export interface NextWrite {
  chunks: readonly Uint8Array[];
  isDirect: boolean;
}

/**
 * Decides how the first of some bytes are written: those up to the next block through the page cache, then whole blocks past it.
 * Bytes that are too few, or lie elsewhere in a block of memory than in one of the file, all go through the page cache.
 */
export function nextWrite(chunks: readonly Uint8Array[], position: number): NextWrite {
  const ranges = joinAdjacent(chunks);
  const toBlock = (BLOCK_BYTES - (position % BLOCK_BYTES)) % BLOCK_BYTES;
  const blocks = wholeBlocks(afterBytes(ranges, toBlock));
  if (bytesIn(blocks) < LEAST_BYTES) return { chunks, isDirect: false };
  if (toBlock === 0) return { chunks: blocks, isDirect: true };
  return { chunks: [(ranges[0] as Uint8Array).subarray(0, toBlock)], isDirect: false };
}

/** Joins chunks that lie one behind the other in the same memory. */
function joinAdjacent(chunks: readonly Uint8Array[]): Uint8Array[] {
  const ranges: Uint8Array[] = [];
  for (const chunk of chunks) {
    const last = ranges.at(-1);
    if (last && last.buffer === chunk.buffer && last.byteOffset + last.length === chunk.byteOffset) {
      ranges[ranges.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + chunk.length);
    } else ranges.push(chunk);
  }
  return ranges;
}

/** The first ranges, as far as they are whole blocks. */
function wholeBlocks(ranges: readonly Uint8Array[]): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (const range of ranges) {
    // Of shared memory we know where it begins: at a page.
    const isAligned = range.buffer instanceof SharedArrayBuffer && range.byteOffset % BLOCK_BYTES === 0;
    const length = range.length - (range.length % BLOCK_BYTES);
    if (isAligned && length > 0) blocks.push(range.subarray(0, length));
    if (!isAligned || length < range.length) break;
  }
  return blocks;
}

/** Writes of one file past the page cache. */
export interface DirectWrites {
  /** None are possible, as far as is known. */
  readonly isOff: boolean;
  /**
   * Writes blocks.
   *
   * @returns how many bytes; undefined where none can be written so.
   * @throws the file system's error.
   */
  write(blocks: readonly Uint8Array[], position: number): Promise<number | undefined>;
  close(): void;
}

/** Devices: whether their files can be written so, as far as is known. */
const devices = new Map<number, boolean>();
let open = 0;

/** Whether a file's device can do it, as far as its file system tells. */
export function hasDirectWrites(path: string, device: number): boolean {
  let known = devices.get(device);
  if (known === undefined) {
    known = constants.O_DIRECT !== undefined && FILE_SYSTEMS.has(statfsSync(path).type);
    devices.set(device, known);
  }
  return known;
}

/**
 * Prepares such writes of an open file. They have a descriptor of their own, which is opened with the first of them.
 *
 * @param path - a name of the file.
 */
export function createDirectWrites(fd: number, path: string): DirectWrites {
  let own: number | undefined;
  let isOff = constants.O_DIRECT === undefined;

  function turnOff(): undefined {
    isOff = true;
    const last = own;
    own = undefined;
    if (last === undefined) return;
    open--;
    try {
      closeSync(last);
    } catch {
      // It is closed all the same (close(2)), and a sync of the file tells what was lost.
    }
  }

  /** @returns the descriptor; undefined where the file cannot be opened so, or its name has come to be another file's. */
  function openOwn(): number | undefined {
    try {
      const { dev, ino } = fstatSync(fd);
      if (open >= MOST_OPEN || !hasDirectWrites(path, dev)) return turnOff();
      own = openSync(path, constants.O_WRONLY | constants.O_DIRECT);
      open++;
      const found = fstatSync(own);
      return found.dev === dev && found.ino === ino ? own : turnOff();
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return turnOff();
    }
  }

  return {
    get isOff() {
      return isOff;
    },
    write: async (blocks, position) => {
      const opened = own ?? openOwn();
      if (opened === undefined) return undefined;
      try {
        return (await writevAsync(opened, blocks, position)).bytesWritten || turnOff();
      } catch (error) {
        if (!isSystemError(error) || !REFUSALS.has(error.code ?? '')) throw error;
        devices.set(fstatSync(fd).dev, false);
        return turnOff();
      }
    },
    close: turnOff,
  };
}
