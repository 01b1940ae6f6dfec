/** Splits batches of chunks, and waits for signals. */

/** Splits chunks: the first `bytes` bytes, and the rest. */
export function split(chunks: Uint8Array[], bytes: number): [Uint8Array[], Uint8Array[]] {
  let left = bytes;
  for (const [index, chunk] of chunks.entries()) {
    if (chunk.length > left) {
      const before = [...chunks.slice(0, index), chunk.subarray(0, left)].filter((piece) => piece.length > 0);
      return [before, [chunk.subarray(left), ...chunks.slice(index + 1)]];
    }
    left -= chunk.length;
  }
  return [chunks, []];
}

/** A promise that resolves once a signal is aborted; `forget` removes its listener. */
export function whenAborted(signal: AbortSignal): { promise: Promise<undefined>; forget: () => void } {
  let onAbort: () => void = () => undefined;
  const promise = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  return { promise, forget: () => signal.removeEventListener('abort', onAbort) };
}
