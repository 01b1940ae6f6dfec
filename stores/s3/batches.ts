/** Batches of chunks on their way into a bucket, and the wait for the next one. */

/** Chunks up to so many bytes, and those after. */
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

/** Resolves once a signal is aborted; `forget` releases it. */
export function whenAborted(signal: AbortSignal): { promise: Promise<undefined>; forget: () => void } {
  let onAbort: () => void = () => undefined;
  const promise = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  return { promise, forget: () => signal.removeEventListener('abort', onAbort) };
}
