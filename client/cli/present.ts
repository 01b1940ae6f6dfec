/** Whether a file that is to be downloaded is here already. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** @param there - what is at the path; null: nothing. */
export async function isPresent(
  path: string,
  there: { isFile(): boolean; size: number | bigint } | null,
  { size, md5 }: { size: number; md5: string },
  signal: AbortSignal,
): Promise<boolean> {
  return there !== null && there.isFile() && Number(there.size) === size && (await md5Of(path, signal)) === md5;
}

async function md5Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of createReadStream(path, { highWaterMark: 512 * 1024 })) {
    signal.throwIfAborted();
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}
