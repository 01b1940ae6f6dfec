/**
 * The intake: takes what a request brings in batches, with back-pressure, without
 * ever destroying the request: its answer still has to go out on the same socket.
 */
import type { Readable } from 'node:stream';
import type { WriteOptions } from './store.ts';

/** Bytes that may wait for the store, over all intakes: few uploads get much of it each, many get little. */
const WAITING_BYTES = 4 * 1024 * 1024;
const MOST_WAITING_BYTES = 1024 * 1024;
/** What a socket delivers at once. */
const LEAST_WAITING_BYTES = 64 * 1024;
/** Largest batch: one vectored write (Linux IOV_MAX is 1024 buffers). */
const MOST_CHUNKS = 512;

/** Why a source gave no more: it ended as it should, broke, was told to stop, or had too much. */
export type IntakeEnd =
  | { kind: 'end' }
  | { kind: 'broken'; cause: unknown }
  | { kind: 'stopped'; cause: unknown }
  | { kind: 'overflow' };

export interface Intake {
  /** The next batch in order; null once everything that arrived was taken. */
  take(): Promise<Uint8Array[] | null>;
  /** Why there is no more; only after `take` answered null. */
  readonly ended: IntakeEnd;
  /** Stops reading; what arrived before can still be taken. */
  stop(cause: unknown): void;
}

let openIntakes = 0;

/** How much one intake lets wait now. */
function highWaterBytes(): number {
  return Math.min(MOST_WAITING_BYTES, Math.max(LEAST_WAITING_BYTES, WAITING_BYTES / openIntakes));
}

/**
 * Begins to read a source.
 *
 * `signal` stops reading when aborted, as `stop` does; a chunk that would exceed `maxBytes` is
 * not taken and ends the intake with `overflow`.
 */
export function openIntake(
  source: Readable,
  { signal, maxBytes, onArrival }: Pick<WriteOptions, 'signal' | 'maxBytes' | 'onArrival'>,
): Intake {
  let queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let totalBytes = 0;
  let ended: IntakeEnd | undefined;
  let wake: (() => void) | undefined;
  openIntakes++;

  function onData(chunk: Uint8Array): void {
    if (totalBytes + chunk.length > maxBytes) {
      finish({ kind: 'overflow' });
      return;
    }
    totalBytes += chunk.length;
    queuedBytes += chunk.length;
    queue.push(chunk);
    onArrival?.();
    if (queuedBytes >= highWaterBytes()) source.pause();
    wake?.();
  }

  function onEnd(): void {
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

  async function take(): Promise<Uint8Array[] | null> {
    while (queue.length === 0) {
      if (ended) return null;
      await new Promise<void>((resolve) => (wake = resolve));
    }
    const batch = queue.length <= MOST_CHUNKS ? queue : queue.slice(0, MOST_CHUNKS);
    queue = queue.length <= MOST_CHUNKS ? [] : queue.slice(MOST_CHUNKS);
    for (const chunk of batch) queuedBytes -= chunk.length;
    if (!ended && queuedBytes < highWaterBytes()) source.resume();
    return batch;
  }

  return {
    take,
    stop,
    get ended() {
      return ended ?? { kind: 'broken', cause: new Error('the intake has not ended') };
    },
  };
}
