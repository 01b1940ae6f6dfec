/** The reserve of a new catalog, without what it costs. */
import { truncate, writeFile } from 'node:fs/promises';
import { LARGEST_RESERVE_BYTES } from '../../server/catalog/sqlite/reserve.ts';

/** Makes the reserve of a catalog that is not there yet, as a hole: of a thousand catalogs, each would fill 8 MiB with random bytes. */
export async function makeReserve(file: string): Promise<void> {
  const reserve = `${file}-reserve`;
  await writeFile(reserve, '', { mode: 0o600 });
  await truncate(reserve, LARGEST_RESERVE_BYTES);
}
