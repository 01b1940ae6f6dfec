/** Making an upload's bytes a content, and putting them in the place of damaged ones. */
import { StoreError, type StoredUpload } from '../store.ts';
import type { Entry, Mount } from './disk.ts';
import { finalName } from './names.ts';
import { readPieces } from './pieces.ts';

/** See `Store.finalize`. */
export async function finalizeUpload(mount: Mount, upload: StoredUpload, key: string, nowMs: number): Promise<void> {
  const name = finalName(key);
  const content = await joinPieces(mount, upload, nowMs).catch(async (error: unknown) => {
    // Of an attempt that was cut short: it was made final, and its pieces were discarded.
    if (upload.offset > 0 && (await mount.read(name))?.size === upload.offset) return undefined;
    throw error;
  });
  const there = content && (await mount.writeNew(name, content));
  if (there && content && !sameBytes(there, content)) throw new StoreError('occupied', `${key} holds other bytes`);
  await mount.sync([name]);
}

/** See `Store.heal`. */
export async function healContent(mount: Mount, upload: StoredUpload, key: string, nowMs: number): Promise<void> {
  const name = finalName(key);
  await mount.write(name, await joinPieces(mount, upload, nowMs));
  await mount.sync([name]);
}

async function joinPieces(mount: Mount, upload: StoredUpload, writtenAtMs: number): Promise<Entry> {
  const pieces = await readPieces(mount, upload);
  return {
    chunks: pieces.flatMap(({ chunks }) => chunks),
    size: upload.offset,
    start: 0,
    after: null,
    writtenAtMs,
  };
}

function sameBytes(a: Entry, b: Entry): boolean {
  return a.size === b.size && Buffer.concat(a.chunks).equals(Buffer.concat(b.chunks));
}
