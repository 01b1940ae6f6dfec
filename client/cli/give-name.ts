/** The name given now, for a file whose upload was begun by another name. */
import { ask } from './context.ts';
import type { Context } from './context.ts';
import { ServiceError } from './errors.ts';
import type { RemoteFile } from './service-client.ts';
import type { TransferResult } from './transfer.ts';

/**
 * Sees to it that there is a file by the name that was asked for.
 *
 * - What an ended run of ours began is renamed: there is one file, by the name given now.
 * - What somebody else began, or has renamed since, keeps its name; the content gets one more
 *   file, by ours.
 *
 * @returns null when the service gives no second name to what it has (INSTANT=off).
 */
export async function giveName(
  context: Context,
  file: RemoteFile,
  wanted: { name: string; md5: string; sha256: string; size: number },
  begun: { adopted: TransferResult['adopted']; isOurs: boolean },
): Promise<RemoteFile | null> {
  const { service, signal } = context;
  const { name: filename, ...content } = wanted;
  const { adopted, isOurs } = begun;
  if (file.name === filename || adopted === null || adopted.name === filename) return file;
  if (isOurs && file.name === adopted.name) {
    const renamed = await ask(context, filename, () =>
      service.rename(file.id, filename, signal).catch((error: unknown) => {
        // A name that a person types is refused where it cannot be kept as it is; below it is cleaned.
        if (error instanceof ServiceError && error.code === 'invalid_field') return null;
        throw error;
      }),
    );
    if (renamed) return renamed;
  }
  const answer = await ask(context, filename, () => service.check({ ...content, filename }, signal));
  return (answer.status === 'exists' && answer.file) || null;
}
