/** Opens the places in which a service keeps things, in order: the catalog, then the store. */
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { type Ledger, type Store, UNKNOWN_MS } from '../stores/store.ts';
import { openStore, placeOf, type StoreSettings } from '../stores/stores.ts';
import type { Surroundings } from '../stores/surroundings.ts';
import { bindPlace, refuseForeignPlace, refuseUnfinishedMove } from './belonging.ts';
import type { Catalog, CatalogError } from './catalog/catalog.ts';
import { closedCatalog, openCatalog } from './catalog/catalogs.ts';
import { type Config, usesDataDir } from './config/config.ts';
import { makeFolder } from './make-folder.ts';
import { quotasOf } from './config/quotas.ts';
import { joinNodes, type Membership } from './nodes/membership.ts';
import { fateOf, readProcessMark } from './nodes/process-mark.ts';
import { tighten } from './private-files.ts';
import { tellOfClock } from './tell-of-clock.ts';
import { REMEMBER_ENDED_MS } from './uploads/contract.ts';
import { readVersion } from './version.ts';

export interface Places {
  catalog: Catalog;
  /** This process among those that have the catalog open. */
  membership: Membership;
  store: Store;
}

/** Functions that close the open parts of a service. They run in reverse order, also when a later part fails to open. */
export type Closers = (() => Promise<unknown>)[];

export interface PlacesOptions {
  /** `--adopt`: the catalog and the place of the files belong together from now on. */
  adopt: boolean;
  surroundings: Surroundings;
  /** Opens another store than the one that is configured. */
  openOtherStore: ((settings: StoreSettings) => Promise<Store>) | undefined;
  /** Called when the catalog cannot work any more. */
  onFailure: (error: CatalogError) => void;
}

/**
 * Opens the catalog, joins its nodes, and opens the store.
 *
 * @param opened - gets what closes them.
 * @throws CatalogError, StoreError.
 */
export async function openPlaces(
  config: Config,
  log: Logger,
  { adopt, surroundings, openOtherStore, onFailure }: PlacesOptions,
  opened: Closers,
): Promise<Places> {
  if (usesDataDir(config)) await makeFolder(config.dataDir);
  const catalogFile = config.database.kind === 'sqlite' ? config.database.file : undefined;
  if (catalogFile !== undefined) await makeFolder(dirname(catalogFile));
  const belonging = { known: closedCatalog(config.database), adopt, log };
  const seen = openOtherStore
    ? undefined
    : await refuseForeignPlace(await placeOf(config.store, config.dataDir), belonging);
  const catalog = await openCatalog(config.database, {
    onFailure,
    time: surroundings,
    believeAfterMs: longestLifeMs(config),
    quotaOf: quotasOf(config.quotas),
    tellOfClock: (news) => tellOfClock(news, log),
    adopt,
    tell: (found) => log.warn(found),
  });
  opened.push(() => catalog.close());
  await refuseUnfinishedMove(catalog, belonging);
  await catalog.keepTime().catch((error: unknown) => {
    // A full disk: a job tries again.
    log.warn({ err: error }, 'the time could not be kept for the next start');
  });
  // For the next start. Other calls report why a catalog cannot be written.
  opened.push(() => catalog.keepTime().catch(() => undefined));
  // Before the store is opened: that removes leftovers from a folder, which must not be another node's.
  const membership = await joinNodes({
    catalog,
    about: {
      name: `${hostname()} ${process.pid}`,
      version: readVersion(),
      process: readProcessMark(),
      isAlone: catalog.isShared && config.store.kind === 'local',
    },
    fateOf,
    name: belonging.known.name,
    surroundings,
    log,
  });
  opened.push(() => membership.leave().catch(() => undefined));
  const openConfigured = (settings: StoreSettings): Promise<Store> => openStore(config.store, settings);
  const store = await (openOtherStore ?? openConfigured)({
    dataDir: config.dataDir,
    ledger: ledgerOf(catalog),
    now: () => catalog.clock.earliest(),
    surroundings,
  });
  opened.push(() => store.close());
  if (store.place) await bindPlace(catalog, store.place, { ...belonging, seen });
  // Only now is it sure that the files are ours: a mistyped setting must not change a stranger's.
  if (usesDataDir(config)) await tighten(config.dataDir, catalogFile, log);
  return { catalog, membership, store };
}

/** What a store may read of the catalog. */
export function ledgerOf(catalog: Catalog): Ledger {
  return {
    parts: (id) => catalog.listParts(id),
    durable: () => catalog.durable(),
    contentKeys: (keys) => catalog.filterKeys(keys),
  };
}

/** The longest time that something waits before it expires. */
function longestLifeMs(config: Config): number {
  return Math.max(config.uploadTtlMs, config.trashTtlMs, REMEMBER_ENDED_MS, UNKNOWN_MS);
}
