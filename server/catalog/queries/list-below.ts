/**
 * Lists all files below a folder, folder by folder. A page looks at a bounded number of folders, so that it takes no longer
 * however many there are.
 */
import type { Kysely } from 'kysely';
import type { BelowQuery, Catalog, FilePage, FileRecord } from '../catalog.ts';
import { decodeFields, encodeFields, invalidCursor, type Position } from '../cursor.ts';
import type { Tables } from '../schema.ts';
import { prepareNextWay, readWay, type Way, writeWay } from './folder-walk.ts';
import { prepareFindFolders, TOP } from './folders.ts';
import { createListFolders, createListLevel, namesOf, positionOf } from './list-folder.ts';

/** How many folders one page looks at. */
const MOST_LOOKED_AT = 100;

const IN_ORDER = { column: 'folded_name', direction: 'asc' } as const;

/** Prepares `listBelow`. */
export function createListBelow(db: Kysely<Tables>): Pick<Catalog, 'listBelow'> {
  const findFolders = prepareFindFolders(db);
  const listFolders = createListFolders(db);
  const listLevel = createListLevel(db);
  const nextWay = prepareNextWay(listFolders);

  async function page(root: number, query: BelowQuery): Promise<FilePage> {
    const { owner, limit, cursor } = query;
    const kind = ['below', root];
    let { way, after } = cursor === undefined ? { way: [], after: undefined } : readPlace(kind, cursor);
    const files: FileRecord[] = [];
    for (let looked = 0; looked < MOST_LOOKED_AT; looked++) {
      const folderId = way.at(-1)?.id ?? root;
      const level = { owner, folderId, path: folderId === TOP ? null : undefined };
      const room = limit - files.length;
      const found = await listLevel(level, { ...IN_ORDER, after, count: room + 1 });
      const taken = found.slice(0, room);
      files.push(...taken.map(({ file }) => file));
      const last = taken.at(-1);
      if (last) after = positionOf(last, IN_ORDER.column);
      if (found.length > room) return { files, nextCursor: writePlace(kind, way, after) };
      const next = await nextWay(owner, root, way);
      if (!next) return { files, nextCursor: null };
      way = next;
      after = undefined;
    }
    return { files, nextCursor: writePlace(kind, way, undefined) };
  }

  return {
    async listBelow(query) {
      const { owner, folder } = query;
      const found = await findFolders(db, owner, namesOf(folder));
      return found && page(found.at(-1)?.id ?? TOP, query);
    },
  };
}

function writePlace(kind: readonly unknown[], way: Way, after: Position | undefined): string {
  return encodeFields(kind, [writeWay(way), after?.value ?? null, after?.id ?? null]);
}

function readPlace(kind: readonly unknown[], cursor: string): { way: Way; after: Position | undefined } {
  const [folders, value, id, ...more] = decodeFields(kind, cursor);
  const isPlace = typeof value === 'string' ? typeof id === 'string' : value === null && id === null;
  if (!isPlace || more.length > 0) throw invalidCursor('it is not one of this service');
  return { way: readWay(folders), after: typeof value === 'string' ? { value, id: id as string } : undefined };
}
