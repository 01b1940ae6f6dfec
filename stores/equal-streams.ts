import type { Readable } from 'node:stream';

/**
 * Compares two streams. Closes both.
 *
 * @param signal - aborts the comparison, which then throws its reason.
 * @returns whether they deliver the same bytes.
 */
export async function equalStreams(a: Readable, b: Readable, signal?: AbortSignal): Promise<boolean> {
  const left = chunksOf(a);
  const right = chunksOf(b);
  try {
    let [fromLeft, fromRight] = await Promise.all([next(left), next(right)]);
    for (;;) {
      signal?.throwIfAborted();
      if (!fromLeft || !fromRight) return fromLeft === fromRight;
      const length = Math.min(fromLeft.length, fromRight.length);
      if (fromLeft.compare(fromRight, 0, length, 0, length) !== 0) return false;
      [fromLeft, fromRight] = await Promise.all([
        length < fromLeft.length ? fromLeft.subarray(length) : next(left),
        length < fromRight.length ? fromRight.subarray(length) : next(right),
      ]);
    }
  } finally {
    a.destroy();
    b.destroy();
  }
}

function chunksOf(stream: Readable): AsyncIterator<Buffer> {
  return stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
}

async function next(chunks: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  const result = await chunks.next();
  return result.done ? undefined : result.value;
}
