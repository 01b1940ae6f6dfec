/** How large requests to a service may be, as its answers show. Remembered in the state folder for later runs. */
import { join } from 'node:path';
import { KEEP_SIZE_MS, readLearnedSize, sizeAfter } from '../core/request-size.ts';
import type { LearnedSize } from '../core/request-size.ts';
import { createRecordFolder, stateFolder } from './atomic-file.ts';

export interface RequestSize {
  /** Most bytes in the body of a request; null where no limit is known. */
  most(): Promise<number | null>;
  /**
   * Takes note that something in front of the service has refused a request for its size.
   *
   * @returns most bytes in the next request; null where a smaller request would be of no use.
   */
  learn(refusedBytes: number): Promise<number | null>;
}

/** The size of requests to one service. */
export function createRequestSize(serverUrl: string): RequestSize {
  const folder = createRecordFolder<LearnedSize>(join(stateFolder(), 'services'), { durable: false });
  const key = [serverUrl];
  const remembered = async (): Promise<number | null> => readLearnedSize(await folder.read(key), Date.now());
  let known: Promise<number | null> | null = null;

  async function most(): Promise<number | null> {
    known ??= remembered();
    return known;
  }

  async function learn(refusedBytes: number): Promise<number | null> {
    const before = await most();
    const bytes = sizeAfter(refusedBytes, before);
    if (bytes === before) return bytes;
    known = Promise.resolve(bytes);
    // Its size was not what kept the request from getting through: later runs need not be slow.
    if (bytes === null) {
      await folder.remove(key);
      return null;
    }
    // Where it cannot be written, a later run learns it again.
    await folder.write(key, { bytes, at: Date.now() }).catch(() => {});
    await folder.prune(KEEP_SIZE_MS);
    return bytes;
  }

  return { most, learn };
}
