/** The doctor's section of the catalog in an SQLite file. */
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Finding, type Section } from '../../../stores/section.ts';
import { CatalogError } from '../catalog.ts';
import { inspectSqliteCatalog } from './inspect.ts';

/** Looks at the catalog in `file` without changing it. */
export function sqliteSection(file: string): Section {
  return {
    steps: [{ name: 'catalog', tried: `opening ${file}`, run: () => inspect(file) }],
    gate: 'catalog',
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
  // Another step checks the folder.
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
