/**
 * A catalog and the place of its files belong together. With another place, a service would remove the bytes there as
 * strays, and report the files of its catalog as lost. See docs/decisions/0019-catalog-and-folder-belong-together.md for
 * folders, and 0035-a-bucket-belongs-to-one-catalog.md for buckets.
 */
import type { Logger } from 'pino';
import { type ClosedPlace, type Place, StoreError } from '../stores/store.ts';
import { type Catalog, CatalogError } from './catalog/catalog.ts';
import type { ClosedCatalog } from './catalog/catalogs.ts';
import { isMoveUnfinished, noteOf, wasMarked } from './place-note.ts';

export interface BelongingOptions {
  /** The catalog, not opened. */
  known: ClosedCatalog;
  /** `--adopt`: they belong together from now on. */
  adopt: boolean;
  log: Pick<Logger, 'warn'>;
}

/**
 * Refuses a place that is marked as another catalog's. To be called before either is opened: opening a catalog migrates
 * it, and opening a folder removes leftovers from it.
 *
 * @returns the mark, so that `bindPlace` need not read it again; undefined where none was read.
 * @throws CatalogError `unavailable` with what to do.
 */
export async function refuseForeignPlace(
  place: ClosedPlace,
  { known, adopt }: Pick<BelongingOptions, 'known' | 'adopt'>,
): Promise<string | undefined> {
  if (adopt) return undefined;
  // Where the mark cannot be read, opening the place reports why.
  const mark = await place.readMark().catch(() => undefined);
  if (mark === undefined || (await known.mayHaveId(mark))) return mark;
  throw refusal(describeForeign(place, known.name), place);
}

/** @throws CatalogError `unavailable` where a move into this catalog has not come to its end: `--adopt` changes nothing about that. */
export async function refuseUnfinishedMove(
  catalog: Catalog,
  { known }: Pick<BelongingOptions, 'known'>,
): Promise<void> {
  if (!isMoveUnfinished(await catalog.getMeta('place'))) return;
  const whatToDo = 'run the same tidemark admin move again, which goes on from there';
  throw new CatalogError('unavailable', `a move into the catalog ${known.name} has not come to its end: ${whatToDo}`);
}

/**
 * Makes sure that catalog and place belong together, and marks a place that has no mark yet.
 *
 * @throws CatalogError `unavailable` with what to do, where they do not; then nothing has changed.
 */
export async function bindPlace(
  catalog: Catalog,
  place: Place,
  options: BelongingOptions & { seen?: string | undefined },
): Promise<void> {
  const { seen, known, adopt, log } = options;
  const id = await catalog.id();
  const mark = seen === id ? id : await place.readMark();
  if (mark === id) {
    await notePlace(catalog, place, options);
    return;
  }
  if (!adopt) {
    const problem = await findProblem(catalog, place, mark, known.name);
    if (problem !== undefined) throw refusal(problem, place);
  } else if (mark !== undefined || (await place.hasBytes())) {
    const both = { [place.kind]: place.name, catalog: known.name };
    log.warn(both, `the ${place.kind} belongs to this catalog from now on`);
  }
  // The catalog's id has to be durable before the mark: after a power cut, the catalog would get another id.
  await catalog.durable();
  try {
    await place.writeMark(id, mark);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'full')) throw error;
    const message = `the ${place.kind} could not be marked as that of this catalog: the next start tries again`;
    log.warn({ err: error }, message);
    return;
  }
  await notePlace(catalog, place, options);
}

/** Records in the catalog with which marked place it is used. On a full disk, that can wait for the next start. */
async function notePlace(catalog: Catalog, place: Place, { log }: BelongingOptions): Promise<void> {
  const note = noteOf(place);
  if ((await catalog.getMeta('place')) === note) return;
  try {
    await catalog.setMeta('place', note);
  } catch (error) {
    if (!(error instanceof CatalogError && error.code === 'full')) throw error;
    log.warn({ err: error }, `the ${place.kind} could not be noted in the catalog: the next start tries again`);
    return;
  }
  await catalog.durable();
}

/** What it may mean that a place has no bytes. */
const WHEN_EMPTY: Record<ClosedPlace['kind'], string> = {
  folder: 'its disk may not be mounted',
  bucket: 'S3_BUCKET or S3_PREFIX may name another one',
};

function refusal(problem: string, { settings }: ClosedPlace): CatalogError {
  const whatToDo =
    `Nothing was changed. Put the right one in place (DATABASE_URL, ${settings}); ` +
    'if one of them is a copy that you restored, start once with --adopt (npm start -- --adopt)';
  return new CatalogError('unavailable', `${problem}. ${whatToDo}`);
}

function describeForeign({ kind, name }: ClosedPlace, file: string): string {
  return `the ${kind} ${name} belongs to another catalog than ${file}`;
}

async function findProblem(
  catalog: Catalog,
  place: Place,
  mark: string | undefined,
  file: string,
): Promise<string | undefined> {
  if (mark !== undefined) return describeForeign(place, file);
  const its = `the ${place.kind} ${place.name}`;
  const [known, hasBytes, before] = [await catalog.extent(), await place.hasBytes(), await catalog.getMeta('place')];
  if (hasBytes && known === 'nothing') return `${its} has files, and the catalog ${file} is a new one`;
  if (!hasBytes && known === 'bytes') {
    return `the catalog ${file} has files, and ${its} has none: ${WHEN_EMPTY[place.kind]}`;
  }
  if (hasBytes && wasMarked(before, place.kind)) {
    return `${its} does not say that it belongs to the catalog ${file}, which was used with one that does`;
  }
  return undefined;
}
