/** Opens the source and the target of a move. Refuses a move that cannot be made before anything is changed. */
import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ContentReader, Store } from '../../stores/store.ts';
import { isSamePlace, openStore, placeOf, readContentsOf } from '../../stores/stores.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { type CatalogCopy, closedCatalog, openCatalog } from '../catalog/catalogs.ts';
import type { Config } from '../config/config.ts';
import { makeFolder } from '../make-folder.ts';
import { isMoveUnfinished, noteOf, noteOfMove, wasMarked } from '../place-note.ts';
import { type MoveSettings, RefusedError } from './settings.ts';

/** The key in the target's `meta`, until the move has ended, of the source's fingerprint when the move began. */
export const MOVED_FROM = 'move_source';

/** Both ends of a move, open. */
export interface Ends {
  source: CatalogCopy;
  from: ContentReader;
  target: Catalog;
  /** Null: the bytes stay where they are. */
  into: Store | null;
  /** What the target's catalog notes about its store's place when the move has ended; null: nothing, like the source. */
  note: string | null;
  isResumed: boolean;
}

/** What to close in the end, in reverse order. */
export type Closers = (() => Promise<unknown>)[];

/** Opens both ends. @throws RefusedError, CatalogError, StoreError; then nothing was copied. */
export async function openEnds({ source, target }: MoveSettings, closers: Closers): Promise<Ends> {
  const names = { source: closedCatalog(source.database).name, target: closedCatalog(target.database).name };
  if (names.source === names.target || isSameFile(source.database, target.database))
    throw new RefusedError(`The catalog ${names.source} is the service's own: give another one by --to-database.`);
  const copy = await closedCatalog(source.database).copy();
  closers.push(() => copy.close());
  const id = await copy.catalog.id();
  const noted = await requireOwnPlace(source, copy.catalog, id);
  const from = await readContentsOf(source.store, source.dataDir);
  closers.push(() => from.close());

  const stays = await isSamePlace([source.store, source.dataDir], [target.store, target.dataDir]);
  const place = await placeOf(target.store, target.dataDir);
  const move = noteOfMove(place);
  await requireUnused(target, { id, move });
  const mark = stays ? undefined : await place.readMark();
  if (target.database.kind === 'sqlite') await makeFolder(dirname(target.database.file));
  const catalog = await openCatalog(target.database, {});
  closers.push(() => catalog.close());
  const isResumed = await isOurMove(catalog, { id, move, name: names.target });
  if (mark !== undefined && !(isResumed && mark === id))
    throw new RefusedError(
      `The ${place.kind} ${place.name} belongs to ${mark === id ? 'this' : 'another'} catalog already: ` +
        'give one that is empty.',
    );
  const into = stays ? null : await openTargetStore(target, catalog);
  if (into) closers.push(() => into.close());
  if (into && mark === undefined && (await into.place?.hasBytes()))
    throw new RefusedError(`The ${place.kind} ${place.name} has files already: give one that is empty.`);

  if (isResumed) await requireSameSource(copy, catalog);
  else await begin(copy, catalog, move);
  if (mark === undefined) await into?.place?.writeMark(id, undefined);
  return { source: copy, from, target: catalog, into, note: stays ? noted : noteOf(place), isResumed };
}

function isSameFile(one: Config['database'], other: Config['database']): boolean {
  if (one.kind !== 'sqlite' || other.kind !== 'sqlite') return false;
  try {
    return realpathSync(one.file) === realpathSync(other.file);
  } catch {
    return false;
  }
}

/** @returns what the catalog has noted about its place. @throws RefusedError where the store belongs to another catalog. */
async function requireOwnPlace({ store, dataDir }: Config, catalog: Catalog, id: string): Promise<string | null> {
  const place = await placeOf(store, dataDir);
  const [mark, noted] = [await place.readMark(), await catalog.getMeta('place')];
  if (isMoveUnfinished(noted)) throw new RefusedError('The catalog itself is the target of a move that has not ended.');
  if (mark === id || (mark === undefined && !wasMarked(noted, place.kind))) return noted ?? null;
  throw new RefusedError(
    `The ${place.kind} ${place.name} does not belong to the catalog of the service: check ${place.settings}.`,
  );
}

/** Checks the target before it is opened: opening would migrate another service's catalog. */
async function requireUnused({ database }: Config, { id, move }: { id: string; move: string }): Promise<void> {
  const catalog = closedCatalog(database);
  const known = await catalog.readIds();
  if (known?.place === undefined || (known.id === id && known.place === move)) return;
  throw new RefusedError(describeUsed(catalog.name, known, { id, move }));
}

function describeUsed(
  name: string,
  known: { id: string; place: string | undefined },
  { id }: { id: string; move: string },
): string {
  if (isMoveUnfinished(known.place)) {
    const which = known.id === id ? 'to another store' : 'of another catalog';
    return `In the catalog ${name} a move ${which} has not come to its end: give an empty database.`;
  }
  if (known.id !== id) return `The catalog ${name} is another service's: give an empty database.`;
  return `The catalog ${name} has all of this service already: start a service with it, or give an empty database.`;
}

/** Whether an earlier run of this move has begun. @throws RefusedError where the catalog has anything else. */
async function isOurMove(catalog: Catalog, move: { id: string; move: string; name: string }): Promise<boolean> {
  const known = { id: await catalog.id(), place: await catalog.getMeta('place') };
  if (known.id === move.id && known.place === move.move) return true;
  if (known.place === undefined && (await catalog.extent()) === 'nothing') return false;
  throw new RefusedError(describeUsed(move.name, known, move));
}

async function openTargetStore({ store, dataDir }: Config, catalog: Catalog): Promise<Store> {
  if (store.kind === 'local') await makeFolder(dataDir);
  return openStore(store, {
    dataDir,
    ledger: {
      parts: (id) => catalog.listParts(id),
      durable: () => catalog.durable(),
      contentKeys: (keys) => catalog.filterKeys(keys),
    },
    now: () => catalog.clock.earliest(),
  });
}

/** Gives the target the source's id and secrets, so that addresses, marks and cursors stay valid. */
async function begin({ catalog, fingerprint }: CatalogCopy, target: Catalog, move: string): Promise<void> {
  const values = Object.fromEntries((await catalog.rows.listMeta()).map(({ key, value }) => [key, value]));
  await target.rows.setMeta({ ...values, place: move, [MOVED_FROM]: fingerprint });
  await target.durable();
}

/** Checks that the source has not changed since the move began: what was copied describes it as it was then. */
async function requireSameSource({ fingerprint }: CatalogCopy, target: Catalog): Promise<void> {
  const found = (await target.rows.listMeta()).find(({ key }) => key === MOVED_FROM);
  if (found?.value === fingerprint) return;
  throw new RefusedError(
    'A service was started on the source after this move was begun: begin it anew, with an empty database and store.',
  );
}
