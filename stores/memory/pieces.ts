/**
 * An upload is a chain of pieces. Each is written once, and names the piece before it. The piece that `storeState` names is
 * the last committed one. A writer that has lost its lease can only add pieces that no row names: so it never changes
 * committed bytes.
 */
import { StoreError, type StoredUpload } from '../store.ts';
import type { Mount } from './mount.ts';
import type { Entry } from './platter.ts';
import { numberOfPiece, piecesOf } from './names.ts';

/** The store's note on an upload: the machine's boot during the last write, and the last committed piece. */
export function encodeState(bootId: string, lastPiece: string | null): string {
  return `${bootId} ${lastPiece ?? ''}`;
}

/** The boot in the note; undefined where there is no note. */
export function bootOf({ storeState }: Pick<StoredUpload, 'storeState'>): string | undefined {
  return storeState?.split(' ')[0] || undefined;
}

/** The last committed piece; null where there is none. */
export function lastPieceOf({ storeState }: Pick<StoredUpload, 'storeState'>): string | null {
  return storeState?.split(' ')[1] || null;
}

/** Reads the pieces up to the upload's offset, in order. @throws StoreError `missing`. */
export async function readPieces(mount: Mount, upload: StoredUpload): Promise<Entry[]> {
  return (await readNamedPieces(mount, upload)).map(({ piece }) => piece);
}

/** The same, with their names. */
export async function readNamedPieces(mount: Mount, upload: StoredUpload): Promise<{ name: string; piece: Entry }[]> {
  const pieces: { name: string; piece: Entry }[] = [];
  let end = upload.offset;
  for (let name = lastPieceOf(upload); name !== null;) {
    const piece = await mount.read(name);
    if (!piece || piece.start + piece.size !== end) throw lost(upload, end);
    pieces.push({ name, piece });
    end = piece.start;
    name = piece.after;
  }
  if (end !== 0) throw lost(upload, end);
  return pieces.toReversed();
}

/** Checks only the last committed piece. @throws StoreError `missing`. */
export async function requireLastPiece(mount: Mount, upload: StoredUpload): Promise<void> {
  const name = lastPieceOf(upload);
  const piece = name === null ? undefined : await mount.read(name);
  if ((piece ? piece.start + piece.size : 0) !== upload.offset) throw lost(upload, upload.offset);
}

/** Reads what was written after the last commit: the newest chain of pieces that follows it, within the upload's size. */
export async function readUncounted(mount: Mount, upload: StoredUpload): Promise<{ name: string; piece: Entry }[]> {
  const newest = new Map<string | null, { name: string; piece: Entry }>();
  for (const name of await mount.list(piecesOf(upload.id))) {
    const piece = await mount.read(name);
    if (!piece || piece.isUnverified || piece.size === 0 || piece.start + piece.size > (upload.size ?? Infinity))
      continue;
    const other = newest.get(piece.after);
    if (!other || numberOfPiece(name) > numberOfPiece(other.name)) newest.set(piece.after, { name, piece });
  }
  const found: { name: string; piece: Entry }[] = [];
  for (let next = newest.get(lastPieceOf(upload)); next; next = newest.get(next.name)) found.push(next);
  return found;
}

function lost(upload: StoredUpload, end: number): StoreError {
  return new StoreError('missing', `upload ${upload.id}: no piece ends at ${end}`);
}
