/** Names on the disk: of the pieces of uploads, and of contents. */

/** What the key of a content is made from: `upload`, the upload and its attempt, as in a bucket; `digest`, as in a folder. */
export type KeyStyle = 'upload' | 'digest';

const UNFINISHED = 'unfinished/';
const FINAL = 'final/';

/** The prefix of all pieces; with an id, of one upload's. */
export function piecesOf(id?: string): string {
  return id === undefined ? UNFINISHED : `${UNFINISHED}${id}.`;
}

/** The name of an upload's piece. */
export function pieceName(id: string, number: number): string {
  return piecesOf(id) + number;
}

/** The name of an upload's mark: an empty piece that names the last piece that was made final. It is removed with the others. */
export function markName(id: string): string {
  return pieceName(id, 0);
}

/** The number in a piece's name. */
export function numberOfPiece(name: string): number {
  return Number(name.slice(name.lastIndexOf('.') + 1));
}

/** The upload's id in a piece's name. */
export function idOfPiece(name: string): string {
  return name.slice(UNFINISHED.length, name.lastIndexOf('.'));
}

/** The name of a content's bytes. */
export function finalName(key: string): string {
  return FINAL + key;
}

/** The key in the name of a content's bytes. */
export function keyOfFinal(name: string): string {
  return name.slice(FINAL.length);
}

/** The key of an attempt, with style `upload`: its last piece identifies it. Other bytes have other pieces, and so another key. */
export function attemptKey(id: string, lastPiece: string | null): string {
  return `${id}.${lastPiece === null ? 0 : numberOfPiece(lastPiece)}`;
}
