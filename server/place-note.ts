/** What a catalog notes of the place of its files, in its row `place`. */
import type { ClosedPlace } from '../stores/store.ts';

/** A folder's path stands by itself, as notes did before buckets had marks. */
export function noteOf({ kind, name }: Pick<ClosedPlace, 'kind' | 'name'>): string {
  return kind === 'folder' ? name : `${kind} ${name}`;
}

/** Whether the catalog was used with a marked place of this kind. Every local store has noted its folder, also an empty one. */
export function wasMarked(note: string | undefined, kind: ClosedPlace['kind']): boolean {
  return note !== undefined && note.startsWith('bucket ') === (kind === 'bucket');
}

const MOVING = 'move ';

/** Stands for the note until all is there that a move brings (server/admin/): until then no service may use the catalog. */
export function noteOfMove(place: Pick<ClosedPlace, 'kind' | 'name'>): string {
  return MOVING + noteOf(place);
}

export function isMoveUnfinished(note: string | undefined): boolean {
  return note?.startsWith(MOVING) === true;
}
