/**
 * Writes lines to a descriptor without waiting for its reader. A pipe or terminal that nobody reads has room for
 * some 64 KiB. After that, a blocking write would stop the whole process, its handling of signals included. Here
 * a line that cannot be written waits in a bounded queue. A line that does not fit into the queue is dropped and counted.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** How many bytes may wait in the queue. */
const LONGEST_QUEUE_BYTES = 1024 * 1024;
/** The most that one write takes: what a pipe takes whole (pipe(7), PIPE_BUF), so that lines of several workers do not mix. */
const LARGEST_WRITE_BYTES = 4096;
const FIRST_RETRY_MS = 2;
const LONGEST_RETRY_MS = 200;
/** How long the exit of the process waits for a reader that reads nothing. */
const LAST_WAIT_MS = 500;
const LAST_LOOK_MS = 10;

/** Writes lines without blocking. */
export interface LineOutput {
  /** Never blocks, never throws. */
  write(line: string): void;
  /** Writes the queue for as long as the reader reads. Blocks: to be called when the process exits. */
  end(): void;
}

/**
 * Opens the output.
 *
 * @param fd - a file, pipe, socket or terminal.
 * @param describeDropped - returns a line that says how many lines were dropped; it is written when that is possible again.
 */
export function openLineOutput(fd: number, describeDropped: (count: number) => string): LineOutput {
  const target = openNonBlocking(fd);
  /** The queue; a part of its first line may have been written already. */
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = FIRST_RETRY_MS;

  /** Writes what can be written now. @returns whether anything was written. */
  function drain(): boolean {
    let moved = false;
    // A line that is longer than the whole queue was dropped though no line waited.
    if (waiting.length === 0) tellDropped();
    while (waiting.length > 0) {
      const taken = countBatch(waiting);
      const batch = taken === 1 ? waiting[0] : Buffer.concat(waiting.slice(0, taken));
      if (!batch) break;
      let written: number;
      try {
        written = writeSync(target, batch);
      } catch {
        // EAGAIN: nobody reads. Other errors: the disk is full, or the reader is gone. All of them may be temporary.
        break;
      }
      moved = true;
      waitingBytes -= written;
      waiting = waiting.slice(taken);
      if (written < batch.length) waiting.unshift(batch.subarray(written));
      else if (waiting.length === 0) tellDropped();
    }
    return moved;
  }

  function tellDropped(): void {
    if (dropped === 0) return;
    const line = Buffer.from(describeDropped(dropped));
    dropped = 0;
    waiting.push(line);
    waitingBytes += line.length;
  }

  function retryLater(): void {
    timer = setTimeout(() => {
      timer = undefined;
      retryMs = drain() ? FIRST_RETRY_MS : Math.min(retryMs * 2, LONGEST_RETRY_MS);
      if (waiting.length > 0) retryLater();
    }, retryMs).unref();
  }

  return {
    write(line) {
      const bytes = Buffer.from(line);
      // After a dropped line, no line is written before the notice of it.
      if (dropped > 0 || waitingBytes + bytes.length > LONGEST_QUEUE_BYTES) {
        dropped++;
      } else {
        waiting.push(bytes);
        waitingBytes += bytes.length;
      }
      if (timer) return;
      drain();
      if (waiting.length > 0) retryLater();
    },
    end() {
      clearTimeout(timer);
      timer = undefined;
      const pause = new Int32Array(new SharedArrayBuffer(4));
      for (let waitedMs = 0; waitedMs < LAST_WAIT_MS;) {
        if (drain()) waitedMs = 0;
        if (waiting.length === 0) return;
        Atomics.wait(pause, 0, 0, LAST_LOOK_MS);
        waitedMs += LAST_LOOK_MS;
      }
    },
  };
}

/** How many lines from the beginning one write can take. */
function countBatch(lines: readonly Buffer[]): number {
  let taken = 0;
  let bytes = 0;
  while (taken < lines.length && (taken === 0 || bytes < LARGEST_WRITE_BYTES)) {
    bytes += lines[taken++]?.length ?? 0;
  }
  return taken;
}

/** Opens a descriptor for the same file whose writes do not block. */
function openNonBlocking(fd: number): number {
  try {
    const kind = fstatSync(fd);
    if (kind.isFIFO() || kind.isCharacterDevice()) {
      // Opened again, so that only our writes do not block: set on `fd`, the flag would apply to all processes that share it.
      return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    }
    if (!kind.isSocket()) return fd;
  } catch {
    // Not Linux; or a pipe that another user has created, as in a container.
  }
  return setNonBlocking(fd);
}

/** Makes writes to `fd` non-blocking: Node does so when it opens a pipe or socket as a stream. The stream is not used. */
function setNonBlocking(fd: number): number {
  try {
    kept.push(new Socket({ fd, readable: false, writable: true }).unref());
  } catch {
    // Not a stream: its writes do not block.
  }
  return fd;
}

/** Kept from the garbage collector, which would close their descriptors. */
const kept: Socket[] = [];
