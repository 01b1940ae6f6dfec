/** Work for a client that may leave meanwhile. */
import type { Ctx } from './state.ts';

/**
 * Runs what `run` does with a signal that is aborted when the client has left.
 *
 * @param what - for the log.
 * @returns undefined where the client has left, and nobody is to be answered.
 */
export async function whileHeard<T>(
  { res, state }: Pick<Ctx, 'res' | 'state'>,
  what: string,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  res.once('close', onClose);
  try {
    return await run(gone.signal);
  } catch (error) {
    if (!gone.signal.aborted) throw error;
    state.log.debug({ err: error }, `${what} ended early`);
    return undefined;
  } finally {
    res.off('close', onClose);
  }
}
