/** What the doctor tries, once the settings are read. */
import { inspectStore, placeOf } from '../../stores/stores.ts';
import { closedCatalog } from '../catalog/catalogs.ts';
import { type Config, usesDataDir } from '../config/config.ts';
import { belongingSection } from './belonging.ts';
import { folderSection } from './folder.ts';
import type { Report } from './report.ts';
import { runSections } from './steps.ts';

/** Tries all sections of a configuration, and reports each step. @param signal - ends it; what was made is removed all the same. */
export async function examine(config: Config, report: Pick<Report, 'step'>, signal: AbortSignal): Promise<void> {
  const { database, store, dataDir } = config;
  const catalog = closedCatalog(database);
  const place = await placeOf(store, dataDir);
  const drivers = [await inspectStore(store, dataDir, signal), await catalog.inspect()];
  const sections = [...drivers, belongingSection(catalog, place, drivers)];
  if (usesDataDir(config)) sections.push(folderSection(dataDir));
  await runSections(sections, signal, (result) => report.step(result));
}
