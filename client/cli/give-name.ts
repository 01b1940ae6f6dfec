/** The name given now, for a file whose upload was begun by another name. */
import { isMethodRefusal } from '../core/refusals.ts';
import { cleanName } from '../../server/wire/labels.ts';
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
  const { name, ...content } = wanted;
  const { adopted, isOurs } = begun;
  // As the service keeps them: a rename is refused for a name that an upload would have cleaned.
  const filename = keptName(name);
  const begunAs = adopted && adopted.name !== null ? keptName(adopted.name) : null;
  if (file.name === filename || adopted === null || begunAs === filename) return file;
  if (isOurs && file.name === begunAs) {
    const renamed = await ask(context, name, () =>
      service.rename(file.id, filename, signal).catch((error: unknown) => {
        if (isRenameRefusal(error)) return null;
        throw error;
      }),
    );
    if (renamed) return renamed;
  }
  const answer = await ask(context, name, () => service.check({ ...content, filename }, signal));
  return (answer.status === 'exists' && answer.file) || null;
}

/** Whether the file can have no other name: this one is none that can be kept, or PATCH does not get through. */
function isRenameRefusal(error: unknown): boolean {
  if (!(error instanceof ServiceError)) return false;
  return error.code === 'invalid_field' || isMethodRefusal('PATCH', error.status);
}

/** One of which nothing would be left is sent as it is: the service finds a name for its file. */
function keptName(name: string): string {
  return cleanName(name) ?? name;
}
