/** Gives an upload's bytes their final name. */
import { createHash } from 'node:crypto';
import { equalStreams } from '../equal-streams.ts';
import { StoreError, type StoredUpload } from '../store.ts';
import { createFile, isSameFile, linkOrRename, renewEntry, sizeOf } from './files.ts';
import type { Folder } from './folder.ts';
import { openStream } from './read.ts';

/**
 * Makes the bytes of a complete upload final under `key`; see `Store.finalize`.
 *
 * @param durable - resolves when everything committed before survives a power cut.
 */
export async function finalizeUpload(
  folder: Folder,
  upload: StoredUpload,
  key: string,
  durable: () => Promise<void>,
): Promise<void> {
  const unfinished = folder.unfinished(upload.id);
  const final = folder.path(key);
  await folder.entries.change(key, () => nameFinal(folder, upload, { unfinished, final, key }, durable));
}

/** The paths of an upload's bytes, and the key under which they become final. */
interface Naming {
  unfinished: string;
  final: string;
  key: string;
}

async function nameFinal(
  folder: Folder,
  upload: StoredUpload,
  { unfinished, final, key }: Naming,
  durable: () => Promise<void>,
): Promise<void> {
  if (sizeOf(unfinished) === undefined) {
    if (upload.size === 0) {
      folder.requireMounted();
      await (await createFile(final)).close();
    } else if (sizeOf(final) !== upload.size) {
      folder.requireHere();
      throw new StoreError('missing', `upload ${upload.id}: its file is gone`);
    }
    // Without hard links: an interrupted attempt has renamed the file already.
    else await renewEntry(unfinished, final, durable);
  } else if (!(await linkOrRename(unfinished, final, durable))) {
    if (!(await equalFiles(unfinished, final)) && (await hasDigestOf(final, key))) {
      throw new StoreError('occupied', `${final} holds other bytes`);
    }
    // The final name is from an interrupted attempt of this upload, or of another one with the same bytes. Or it has a part
    // of such bytes (at-once.ts).
    await renewEntry(unfinished, final, durable);
  }
}

/** Whether a file has bytes of the MD5 that is in its name. */
async function hasDigestOf(path: string, key: string): Promise<boolean> {
  const md5 = createHash('md5');
  for await (const chunk of await openStream(path)) md5.update(chunk as Uint8Array);
  return key.startsWith(md5.digest('hex'));
}

async function equalFiles(a: string, b: string): Promise<boolean> {
  if (isSameFile(a, b)) return true;
  if (sizeOf(a) !== sizeOf(b)) return false;
  const ours = await openStream(a);
  try {
    return await equalStreams(ours, await openStream(b));
  } finally {
    ours.destroy();
  }
}
