/**
 * The intake: reads a request's body in batches, with back-pressure. It never destroys the request, as the answer has to
 * be sent on the same socket.
 */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { bytesIn, shortened } from './chunks.ts';
import { resumeLineOf } from './resume-line.ts';
import { StoreError, type StoredUpload, type WriteOptions, type Written } from './store.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * How many bytes may wait for the store, in all intakes together: each gets an equal share, within the bounds below. With 64
 * intakes it is two chunks: as many again are read before a pause takes effect, and a batch costs as much as copying several.
 */
const WAITING_BYTES = 8 * 1024 * 1024;
const MOST_WAITING_BYTES = 1024 * 1024;
/** How much a socket delivers at once. */
const LEAST_WAITING_BYTES = 64 * 1024;
/** From so many bytes on, a batch ends at a whole unit. */
const LEAST_WHOLE_BYTES = 128 * 1024;
/** Largest batch: one vectored write (Linux IOV_MAX is 1024 buffers). */
const MOST_CHUNKS = 512;
/**
 * After so many turns of the event loop without a byte, nothing is left to be read. Each turn asks the kernel for what is
 * ready; but the first may have asked before the counting began, and the second before a paused source was resumed. The
 * others are for a busy machine, whose kernel delivers what was written to it a little later.
 */
const QUIET_TURNS = 16;
/**
 * In the middle of those turns is a pause, since they take less than a millisecond where nothing else happens: a kernel that has more
 * to do than its processors can delivers what was written to it some milliseconds later.
 */
export const QUIET_MS = 20;
/** How many bytes of a connection both kernels can buffer: once more have arrived, the sender is still connected. */
const KERNEL_BYTES = mostBufferBytes('rmem', 6 * 1024 * 1024) + mostBufferBytes('wmem', 4 * 1024 * 1024);
/** By then, the request that asked has long got its answer. */
const MOST_CATCH_UP_MS = 60_000;

/**
 * Why the intake ended: `end` as it should, `refused` by the verification, `broken` by a failure, `stopped` by its user,
 * `overflow` by too many bytes.
 */
export type IntakeEnd =
  | { kind: 'end' }
  | { kind: 'refused'; cause: unknown }
  | { kind: 'broken'; cause: unknown }
  | { kind: 'stopped'; cause: unknown }
  | { kind: 'overflow' };

/**
 * The result of catching up. `quiet`: all bytes that had arrived are taken, and no more came. `flowing`: since the call, more
 * bytes arrived than can have been buffered. `ended`: the source delivers no more.
 */
export type CaughtUp = 'quiet' | 'flowing' | 'ended';

/** The intake of one request. */
export interface Intake {
  /** Waits for the next batch, in order; null once the intake has ended and all batches are taken. */
  take(): Promise<Uint8Array[] | null>;
  /** Why it ended; only after `take` returned null. */
  readonly ended: IntakeEnd;
  /**
   * Waits until all bytes are taken that had arrived at the call, those in the kernel's buffers included.
   *
   * @param pauseMs - QUIET_MS; 0 where the bytes come through no kernel.
   */
  catchUp(pauseMs: number): Promise<CaughtUp>;
  /** Stops reading; what arrived before can still be taken. */
  stop(cause: unknown): void;
}

/**
 * Where large batches end: at a multiple of `bytes`, counted from `from` bytes before the source. What is beyond comes with the
 * next batch, which need not wait for more. A store that writes whole blocks needs it.
 */
export interface Units {
  bytes: number;
  from: number;
}

let openIntakes = 0;

/** How many bytes may wait in one intake now. */
function highWaterBytes(): number {
  return Math.min(MOST_WAITING_BYTES, Math.max(LEAST_WAITING_BYTES, WAITING_BYTES / openIntakes));
}

/**
 * Begins to read a source.
 *
 * An aborted `signal` stops reading, as `stop` does. A chunk that would exceed `maxBytes` is not taken, and ends the intake
 * with `overflow`. The chunk that reaches `maxBytes` is held back until the source has ended, and its verification has
 * passed: so a source with too many bytes never completes an upload.
 */
// oxlint-disable-next-line max-lines-per-function -- listeners of one source over one queue: each is a few lines, and all change the same
export function openIntake(
  source: Readable,
  {
    signal,
    maxBytes,
    onArrival,
    verification,
  }: Pick<WriteOptions, 'signal' | 'maxBytes' | 'onArrival' | 'verification'>,
  surroundings: Pick<Surroundings, 'elapsedMs' | 'turn' | 'wait'>,
  units?: Units,
): Intake {
  let queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let totalBytes = 0;
  let takenBytes = 0;
  /** The chunk that reaches `maxBytes`, held back until the source has ended. */
  let last: Uint8Array | undefined;
  let ended: IntakeEnd | undefined;
  let wake: (() => void) | undefined;
  let emptied: (() => void)[] = [];
  const resumeInTurn = resumeLineOf(surroundings);
  let waitsForTurn = false;
  openIntakes++;

  function onData(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (totalBytes + chunk.length > maxBytes) {
      finish({ kind: 'overflow' });
      return;
    }
    totalBytes += chunk.length;
    onArrival?.();
    verification?.update(chunk);
    if (totalBytes === maxBytes) last = chunk;
    else enqueue(chunk);
  }

  function enqueue(chunk: Uint8Array): void {
    queuedBytes += chunk.length;
    queue.push(chunk);
    if (queuedBytes >= highWaterBytes()) source.pause();
    wake?.();
  }

  function onEnd(): void {
    // A listener that was called before this one may have ended the intake: removing this one then came too late.
    if (ended) return;
    try {
      verification?.verify();
    } catch (cause) {
      finish({ kind: 'refused', cause });
      return;
    }
    if (last) enqueue(last);
    finish({ kind: 'end' });
  }

  function onError(cause: unknown): void {
    finish({ kind: 'broken', cause });
  }

  function onClose(): void {
    finish({ kind: 'broken', cause: new Error('the connection closed before the body ended') });
  }

  function onAbort(): void {
    stop(signal.reason);
  }

  function stop(cause: unknown): void {
    finish({ kind: 'stopped', cause });
  }

  function finish(end: IntakeEnd): void {
    if (ended) return;
    ended = end;
    openIntakes--;
    source.off('data', onData).off('end', onEnd).off('close', onClose);
    signal.removeEventListener('abort', onAbort);
    if (end.kind !== 'end') source.pause();
    wake?.();
    tellEmptied();
  }

  function tellEmptied(): void {
    const told = emptied;
    emptied = [];
    for (const tell of told) tell();
  }

  // The error listener stays: a connection may break again after the intake has ended.
  source.on('error', onError);
  if (signal.aborted) onAbort();
  else if (source.errored) onError(source.errored);
  else if (source.readableEnded) onEnd();
  else if (source.destroyed) onClose();
  else {
    signal.addEventListener('abort', onAbort, { once: true });
    source.on('end', onEnd).on('close', onClose).on('data', onData);
  }

  /** Resumes the source, where it is paused and may bring more: in its turn. */
  function resume(): void {
    if (waitsForTurn || !source.isPaused() || !mayBringMore()) return;
    waitsForTurn = true;
    resumeInTurn(() => {
      waitsForTurn = false;
      if (mayBringMore()) source.resume();
    });
  }

  function mayBringMore(): boolean {
    return !ended && queuedBytes < highWaterBytes();
  }

  async function take(): Promise<Uint8Array[] | null> {
    while (queue.length === 0) {
      if (ended) return null;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    // What else is ready to be read in this turn goes along: many small batches would cost more.
    if (mayBringMore()) await surroundings.turn();
    const batch = queue.length <= MOST_CHUNKS ? queue : queue.slice(0, MOST_CHUNKS);
    queue = queue.length <= MOST_CHUNKS ? [] : queue.slice(MOST_CHUNKS);
    const bytes = bytesIn(batch);
    const beyond = units && bytes >= LEAST_WHOLE_BYTES ? (units.from + takenBytes + bytes) % units.bytes : 0;
    if (beyond > 0) queue.unshift(...cutEnd(batch, beyond));
    queuedBytes -= bytes - beyond;
    takenBytes += bytes - beyond;
    resume();
    // Also where something is left: who catches up has limits of its own.
    tellEmptied();
    return batch;
  }

  async function catchUp(pauseMs: number): Promise<CaughtUp> {
    const most = totalBytes + KERNEL_BYTES;
    const until = surroundings.elapsedMs() + MOST_CATCH_UP_MS;
    for (let quiet = 0; quiet < QUIET_TURNS;) {
      if (ended) return 'ended';
      if (totalBytes > most || surroundings.elapsedMs() > until) return 'flowing';
      if (queue.length > 0) {
        quiet = 0;
        await new Promise<void>((resolve) => emptied.push(resolve));
        continue;
      }
      const before = totalBytes;
      const isRead = !source.isPaused() && source.readableLength === 0;
      await (pauseMs > 0 && quiet === QUIET_TURNS / 2 ? surroundings.wait(pauseMs) : surroundings.turn());
      quiet = isRead && totalBytes === before ? quiet + 1 : 0;
    }
    return 'quiet';
  }

  return {
    take,
    catchUp,
    stop,
    get ended() {
      return ended ?? { kind: 'broken', cause: new Error('the intake has not ended') };
    },
  };
}

/** Removes the last bytes of a batch. @returns them, in memory of their own. */
function cutEnd(batch: Uint8Array[], bytes: number): Uint8Array[] {
  const cut: Uint8Array[] = [];
  for (let left = bytes; left > 0;) {
    const chunk = batch.pop();
    if (!chunk) break;
    const kept = chunk.length - left;
    cut.unshift(kept > 0 ? Uint8Array.from(chunk.subarray(kept)) : chunk);
    if (kept > 0) batch.push(shortened(chunk, kept));
    left -= chunk.length;
  }
  return cut;
}

/**
 * How an atomic write ends without a commit.
 *
 * @param offset - the upload's, which stays.
 * @throws what the verification threw; StoreError `overflow`.
 */
export function endUncommitted(ended: IntakeEnd, { id, offset }: Pick<StoredUpload, 'id' | 'offset'>): Written {
  if (ended.kind === 'refused') throw ended.cause;
  refuseOverflow(ended, id);
  return { offset, digests: null, interrupted: causeOf(ended) };
}

/** @throws StoreError `overflow` where the source had too many bytes. */
export function refuseOverflow(ended: IntakeEnd, id: string): void {
  if (ended.kind === 'overflow') throw new StoreError('overflow', `upload ${id}: more bytes than were announced`);
}

/** Why the source ended early; undefined where it did not. */
export function causeOf(ended: IntakeEnd): unknown {
  return ended.kind === 'end' || ended.kind === 'overflow' ? undefined : ended.cause;
}

/** Largest buffer of a TCP connection (tcp(7): tcp_rmem, tcp_wmem); `otherwise` where the system does not say. */
function mostBufferBytes(direction: 'rmem' | 'wmem', otherwise: number): number {
  try {
    const [, , most] = readFileSync(`/proc/sys/net/ipv4/tcp_${direction}`, 'utf8').trim().split(/\s+/);
    return Number(most) || otherwise;
  } catch {
    return otherwise;
  }
}
