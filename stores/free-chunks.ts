/**
 * Frees the memory of a request's bytes as soon as they are stored.
 *
 * Node copies what it reads of a body to new memory, 64 KiB at a time, and leaves it to the garbage collector. V8 counts that
 * memory with its heap: while it lies there, every few megabytes cause a collection of the whole heap, in all of V8's threads.
 * Memory that is transferred is freed at once, and the next read gets it again, while the processor's cache still has it.
 */
import { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { MessageChannel } from 'node:worker_threads';
import { originOf } from './chunks.ts';

/**
 * A port whose channel is closed: what is transferred to it is discarded (HTML, "message port post message steps": the
 * transfer comes before the look whether there is a receiver).
 */
const nowhere = new MessageChannel().port1;
nowhere.close();

/**
 * Frees the chunks of a source, where nobody else has their memory; afterwards they are empty.
 *
 * Those of an HTTP request belong to whoever reads it: each has memory of its own. Other sources may use theirs again.
 */
export function freeChunks(source: Readable, chunks: readonly Uint8Array[]): void {
  if (!(source instanceof IncomingMessage)) return;
  const own = chunks
    .map(originOf)
    .filter(({ buffer, byteLength }) => buffer instanceof ArrayBuffer && byteLength === buffer.byteLength);
  nowhere.postMessage(
    null,
    own.map(({ buffer }) => buffer as ArrayBuffer),
  );
}
