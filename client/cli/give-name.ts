/** Gives a published file the name given to this run, where its upload was begun under another name. */
import type { FileJson, OnConflictJson } from '../../server/wire/files.ts';
import { type Begun, giveName as giveNameBy, isRenameRefusal } from '../core/naming.ts';
import type { Bytes } from '../core/proof.ts';
import { isGone, isMethodRefusal } from '../core/refusals.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import { ServiceError } from './errors.ts';

/** As `giveName` of core/naming.ts, with retries, for this run's service. */
export function giveName(
  context: Context,
  file: FileJson,
  { name, md5, sha256, size, onConflict }: Bytes & { name: string; onConflict?: OnConflictJson },
  begun: Begun | null,
): Promise<FileJson | null> {
  const { service, signal } = context;
  const remove = (id: string): Promise<void> =>
    ask(context, name, () =>
      service.remove(id, signal).catch((error: unknown) => {
        // It is gone already, or something on the way blocks DELETE: then there are two.
        const isFinal = error instanceof ServiceError && (isGone(error) || isMethodRefusal('DELETE', error.status));
        if (!isFinal) throw error;
      }),
    );
  const replaces = onConflict ? { onconflict: onConflict } : {};
  return giveNameBy(file, name, begun, {
    rename: (id, newName) =>
      ask(context, name, () =>
        service.rename(id, newName, signal).catch((error: unknown) => {
          if (error instanceof ServiceError && isRenameRefusal(error)) return null;
          throw error;
        }),
      ),
    checkAs: (filename) =>
      ask(context, name, () => service.check({ md5, sha256, size, filename, ...replaces }, signal)),
    ...(onConflict === 'replace' ? { remove } : {}),
  });
}
