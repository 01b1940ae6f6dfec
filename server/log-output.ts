/**
 * Writes lines to a descriptor without waiting for its reader. A pipe or terminal that nobody reads takes
 * some 64 KiB. After that a blocking write stops the whole process, and signals are not handled either. Here
 * a line that cannot be written waits in a bounded queue. A line that does not fit is dropped and counted.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** How much may wait for its reader. */
const LONGEST_QUEUE_BYTES = 1024 * 1024;
/** The most that one write takes: what a pipe takes whole (pipe(7), PIPE_BUF), so that lines of several workers do not mix. */
const LARGEST_WRITE_BYTES = 4096;
const FIRST_RETRY_MS = 2;
const LONGEST_RETRY_MS = 200;
/** How long the end of the process waits for a reader that takes nothing. */
const LAST_WAIT_MS = 500;
const LAST_LOOK_MS = 10;

export interface LineOutput {
  /** Never blocks, never throws. */
  write(line: string): void;
  /** Writes what waits, for as long as its reader takes it: at the end of the process. */
  end(): void;
}

/**
 * @param fd - a file, pipe, socket or terminal.
 * @param describeDropped - a line that says how many were dropped; written when lines can be written again.
 */
export function openLineOutput(fd: number, describeDropped: (count: number) => string): LineOutput {
  const target = openNonBlocking(fd);
  /** Lines that wait; the first may have been written in part. */
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = FIRST_RETRY_MS;

  /** Writes what can be written now. @returns whether anything was. */
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
        // EAGAIN: nobody reads. Other errors: the disk is full, or the reader is gone. Each may pass.
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

/** How many lines, from the first on, one write takes. */
function countBatch(lines: readonly Buffer[]): number {
  let taken = 0;
  let bytes = 0;
  while (taken < lines.length && (taken === 0 || bytes < LARGEST_WRITE_BYTES)) {
    bytes += lines[taken++]?.length ?? 0;
  }
  return taken;
}

/** A descriptor of the same thing whose writes do not wait. */
function openNonBlocking(fd: number): number {
  try {
    const kind = fstatSync(fd);
    if (kind.isFIFO() || kind.isCharacterDevice()) {
      // Opened anew, so that only our writes do not wait: the flag belongs to what `fd` shares with other processes.
      return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    }
    if (!kind.isSocket()) return fd;
  } catch {
    // Not Linux; or a pipe that another user has made, as in a container.
  }
  return setNonBlocking(fd);
}

/** Node sets the flag when it makes a stream of a pipe or socket; the stream itself is not used. */
function setNonBlocking(fd: number): number {
  try {
    kept.push(new Socket({ fd, readable: false, writable: true }).unref());
  } catch {
    // Not a stream: its writes do not wait for a reader.
  }
  return fd;
}

/** Kept from the garbage collector, which would close their descriptors. */
const kept: Socket[] = [];
