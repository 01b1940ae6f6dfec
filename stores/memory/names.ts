/** Names on the disk: of the pieces of uploads, and of contents. */

/** How the keys of contents are made: one for each attempt of an upload, as in a bucket, or by digest, as in a folder. */
export type KeyStyle = 'upload' | 'digest';

const UNFINISHED = 'unfinished/';
const FINAL = 'final/';

/** What the names of all pieces begin with; of one upload's with an id. */
export function piecesOf(id?: string): string {
  return id === undefined ? UNFINISHED : `${UNFINISHED}${id}.`;
}

export function pieceName(id: string, number: number): string {
  return piecesOf(id) + number;
}

/** Of an empty piece that says up to which one the upload was made final. It goes with the others. */
export function markName(id: string): string {
  return pieceName(id, 0);
}

export function numberOfPiece(name: string): number {
  return Number(name.slice(name.lastIndexOf('.') + 1));
}

export function idOfPiece(name: string): string {
  return name.slice(UNFINISHED.length, name.lastIndexOf('.'));
}

export function finalName(key: string): string {
  return FINAL + key;
}

export function keyOfFinal(name: string): string {
  return name.slice(FINAL.length);
}

/** With style `upload`: an attempt is known by its last piece. Other bytes have other pieces, and so another key. */
export function attemptKey(id: string, lastPiece: string | null): string {
  return `${id}.${lastPiece === null ? 0 : numberOfPiece(lastPiece)}`;
}
