/** Work on a bounded number of items at once. */

/**
 * Runs `run` on each item, on at most `most` of them at a time.
 *
 * @throws the first failure, after aborting the signal of all other runs and waiting for their end.
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
