/** The step that compares the id of a catalog with the id that the place of its files (folder or bucket) is marked with. */
import type { ClosedCatalog } from '../catalog/catalogs.ts';
import { isMoveUnfinished } from '../place-note.ts';
import { type Finding, type Section, StepError } from '../../stores/section.ts';
import { type ClosedPlace, StoreError } from '../../stores/store.ts';

/** @param of - the sections of store and catalog: the step is skipped where the gate of either has failed. */
export function belongingSection(catalog: ClosedCatalog, place: ClosedPlace, of: readonly Section[]): Section {
  return {
    steps: [
      {
        name: 'belonging',
        tried: `comparing the ids of ${catalog.name} and ${place.name}`,
        needs: of.flatMap(({ gate }) => gate ?? []),
        run: () => compareIds(catalog, place),
      },
    ],
    explain: (error) => ({
      found: error instanceof Error ? error.message : String(error),
      change: `check ${error instanceof StoreError ? place.settings : 'DATABASE_URL'}`,
    }),
  };
}

/** What it may mean that a place carries no id although its catalog was used before. */
const WHEN_BARE: Record<ClosedPlace['kind'], string> = {
  folder: 'a disk may not be mounted',
  bucket: 'S3_BUCKET or S3_PREFIX may name another one',
};

async function compareIds(catalog: ClosedCatalog, place: ClosedPlace): Promise<Finding> {
  const mark = await place.readMark();
  const known = await catalog.readIds();
  if (isMoveUnfinished(known?.place))
    throw new StepError('a move into this catalog has not come to its end', 'run the same tidemark admin move again');
  if (mark === known?.id) return { found: mark === undefined ? 'neither has one yet' : 'the same' };
  if (mark === undefined && known?.place === undefined) {
    return { found: `the next start gives the ${place.kind} its id` };
  }
  const change = `put the right one in place (DATABASE_URL, ${place.settings}); after restoring a copy: npm start -- --adopt`;
  if (mark === undefined) {
    const found = `the ${place.kind} has none, and the catalog was used with ${known?.place}: ${WHEN_BARE[place.kind]}`;
    throw new StepError(found, change);
  }
  throw new StepError(`the ${place.kind} belongs to another catalog`, change);
}
