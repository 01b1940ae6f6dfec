/** Several things at once, a bounded number. */

/**
 * Runs `run` on each item, the next item as soon as there is room for it.
 *
 * @throws the first failure, once all that had begun have ended; their signal is aborted.
 */
export async function forEachAtOnce<Item>(
  items: AsyncIterable<Item>,
  { most, signal }: { most: number; signal: AbortSignal },
  run: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const iterator = items[Symbol.asyncIterator]();

  async function work(): Promise<void> {
    while (!stop.aborted) {
      const { done, value } = await iterator.next();
      if (done) return;
      await run(value, stop);
    }
  }

  const workers = Array.from({ length: most }, () =>
    work().catch((error: unknown) => {
      failed.abort(error);
    }),
  );
  await Promise.all(workers);
  stop.throwIfAborted();
}
