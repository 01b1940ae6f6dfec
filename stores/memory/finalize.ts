/** Makes an upload's bytes final, and puts them in the place of damaged ones. */
import { StoreError, type StoredUpload } from '../store.ts';
import type { Mount } from './mount.ts';
import type { Entry } from './platter.ts';
import { finalName, markName } from './names.ts';
import { readNamedPieces } from './pieces.ts';
import type { Writing } from './write.ts';

/** See `Store.finalize`. */
export async function finalizeUpload(
  { mount, now, lastIsOptional }: Writing,
  upload: StoredUpload,
  key: string,
): Promise<void> {
  const name = finalName(key);
  const joined = await joinPieces(mount, upload, now()).catch(async (error: unknown) => {
    // An interrupted attempt has made the bytes final, and the pieces were discarded since.
    if (upload.offset > 0 && (await mount.read(name))?.size === upload.offset) return undefined;
    throw error;
  });
  const there = joined && (await mount.writeNew(name, joined.content));
  if (there && !sameBytes(there, joined.content)) throw new StoreError('occupied', `${key} holds other bytes`);
  await mount.sync([...(joined && lastIsOptional ? await markFinal(mount, upload, joined) : []), name]);
}

/** Writes a mark, by which a recovery can trust pieces without a commit. @returns the names to be synced with the content. */
async function markFinal(mount: Mount, { id }: StoredUpload, { pieces, content }: Joined): Promise<string[]> {
  const mark = markName(id);
  const after = pieces.at(-1) ?? null;
  await mount.write(mark, { chunks: [], size: 0, start: content.size, after, writtenAtMs: content.writtenAtMs });
  return [...pieces, mark];
}

/** See `Store.storeAtOnce`. */
export async function storeFinal({ mount, now }: Writing, key: string, chunks: readonly Uint8Array[]): Promise<void> {
  const name = finalName(key);
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const content = { chunks: [...chunks], size, start: 0, after: null, writtenAtMs: now() };
  if (await mount.writeNew(name, content)) throw new StoreError('occupied', `${key} is there already`);
  await mount.sync([name]);
}

/** See `Store.heal`. */
export async function healContent(mount: Mount, upload: StoredUpload, key: string, nowMs: number): Promise<void> {
  const name = finalName(key);
  await mount.write(name, (await joinPieces(mount, upload, nowMs)).content);
  await mount.sync([name]);
}

/** Whether an entry has the bytes of an upload; false where these are gone. */
export async function hasBytesOf(mount: Mount, upload: StoredUpload, entry: Entry): Promise<boolean> {
  try {
    return sameBytes(entry, (await joinPieces(mount, upload, entry.writtenAtMs)).content);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'missing') return false;
    throw error;
  }
}

interface Joined {
  content: Entry;
  /** Names of the pieces that it was made of. */
  pieces: string[];
}

async function joinPieces(mount: Mount, upload: StoredUpload, writtenAtMs: number): Promise<Joined> {
  const pieces = await readNamedPieces(mount, upload);
  const chunks = pieces.flatMap(({ piece }) => piece.chunks);
  const content = { chunks, size: upload.offset, start: 0, after: null, writtenAtMs };
  return { content, pieces: pieces.map(({ name }) => name) };
}

function sameBytes(a: Entry, b: Entry): boolean {
  return a.size === b.size && Buffer.concat(a.chunks).equals(Buffer.concat(b.chunks));
}
