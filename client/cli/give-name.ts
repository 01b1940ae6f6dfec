/** The name given now, for a file whose upload was begun by another name. */
import type { FileJson } from '../../server/wire/files.ts';
import { isRenameRefusal, keptName, nextForName } from '../core/naming.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import { ServiceError } from './errors.ts';
import type { TransferResult } from './transfer.ts';

/**
 * Sees to it that there is a file by the name that was asked for.
 *
 * @returns null when the service gives no second name to what it has (INSTANT=off).
 */
export async function giveName(
  context: Context,
  file: FileJson,
  wanted: { name: string; md5: string; sha256: string; size: number },
  begun: { adopted: TransferResult['adopted']; isOurs: boolean },
): Promise<FileJson | null> {
  const { service, signal } = context;
  const { name, ...content } = wanted;
  const filename = keptName(name);
  const next = nextForName(file.name, name, begun.adopted && { ...begun.adopted, isOurs: begun.isOurs });
  if (next === 'keep') return file;
  if (next === 'rename') {
    const renamed = await ask(context, name, () =>
      service.rename(file.id, filename, signal).catch((error: unknown) => {
        if (error instanceof ServiceError && isRenameRefusal(error)) return null;
        throw error;
      }),
    );
    if (renamed) return renamed;
  }
  const answer = await ask(context, name, () => service.check({ ...content, filename }, signal));
  return (answer.status === 'exists' && answer.file) || null;
}
