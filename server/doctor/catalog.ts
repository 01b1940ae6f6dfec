/** The step on the catalog. */
import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CatalogError } from '../catalog/catalog.ts';
import { inspectSqliteCatalog, readBelonging } from '../catalog/sqlite/inspect.ts';
import { createPlace } from '../../stores/local/place.ts';
import { type Finding, type Section, type Step, StepError } from './steps.ts';

/** @param dataDir - with the local store: the catalog and the folder of the files have to belong together. */
export function catalogSection(file: string, dataDir: string | null): Section {
  const steps: Step[] = [{ name: 'catalog', tried: `opening ${file}`, run: () => inspect(file) }];
  if (dataDir !== null) {
    const folder = join(dataDir, 'files');
    const tried = `comparing the ids of ${file} and ${folder}`;
    steps.push({ name: 'belonging', tried, needs: ['catalog'], run: () => compareIds(file, folder) });
  }
  return {
    steps,
    explain: (error) => ({
      found: error instanceof Error ? error.message : String(error),
      change:
        error instanceof CatalogError
          ? 'put it right, or point DATABASE_URL at another file. If you have restored a copy: npm start -- --adopt'
          : 'check DATABASE_URL',
    }),
  };
}

async function inspect(file: string): Promise<Finding> {
  const made = await access(dirname(file)).then(
    () => true,
    () => false,
  );
  // Its folder has a step of its own.
  if (!made) return { found: 'it is not there yet, nor is its folder: the first start makes both' };
  const { state, schema, newestSchema } = await inspectSqliteCatalog(file);
  if (state === 'new') return { found: 'it is not there yet: the first start makes it' };
  const known = `schema ${schema} of ${newestSchema}`;
  if (state === 'unclean') {
    return { found: `${known}: it was not closed, and the next start brings its log in and checks it`, note: true };
  }
  const found = state === 'free' ? `writable, ${known}` : `a running service has it open, ${known}`;
  return schema < newestSchema && state === 'free'
    ? { found: `${found}: the next start brings it up to date`, note: true }
    : { found };
}

async function compareIds(file: string, folder: string): Promise<Finding> {
  const mark = await createPlace(folder, () => true).readMark();
  const catalog = readBelonging(file);
  if (mark === catalog?.id) return { found: mark === undefined ? 'neither has one yet' : 'the same' };
  if (mark === undefined && catalog?.place === undefined) return { found: 'the next start gives the folder its id' };
  const change = 'put the right one in place (DATABASE_URL, DATA_DIR); after restoring a copy: npm start -- --adopt';
  if (mark === undefined) {
    const found = `the folder has none, and the catalog was used with ${catalog?.place}: a disk may not be mounted`;
    throw new StepError(found, change);
  }
  throw new StepError('the folder belongs to another catalog', change);
}
