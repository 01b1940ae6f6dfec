/** The life of uploads with the real catalog, store and digests, without a service around it. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { ledgerOf } from '../../server/service-places.ts';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { NO_QUOTA } from '../../server/catalog/quotas.ts';
import type { ClockSource } from '../../server/catalog/sqlite/clock.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { parseConfig } from '../../server/config/parse.ts';
import { createLeases } from '../../server/leases/create-leases.ts';
import { aboutNode } from '../catalog/fixtures.ts';
import { createProcessWake, type Wake } from '../../server/leases/wake.ts';
import { createLife, type Life } from '../../server/service-parts.ts';
import { NOTHING_LATER } from '../../server/uploads/later-digests.ts';
import { createCleaning } from '../../server/uploads/cleaning.ts';
import { createKeyedMutex } from '../../server/uploads/keyed-mutex.ts';
import type { Limits, Parts } from '../../server/uploads/parts.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { openStore } from '../../stores/stores.ts';
import { type Surroundings, SYSTEM } from '../../stores/surroundings.ts';
import type { Store } from '../../stores/store.ts';
import { md5 } from '../harness/bytes.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

// This process reaches the double of OSS by its name.
await import(RESOLVE_HERE);

export interface House extends Life {
  /** Of the catalog, and of the files of the local store. Of those that are given, it has none. */
  folder: string;
  parts: Parts;
  /** Begins an upload of these bytes; its id. */
  begin(bytes: Buffer, declared?: { size: number | null }): Promise<string>;
  /** Tells everything to stop. */
  stop(): void;
}

interface HouseOptions {
  surroundings?: Surroundings;
  /** What the catalog's clock goes by: else the surroundings. */
  time?: ClockSource;
  /** In place of the one that `env` names. */
  store?: Store;
  /** That other nodes have, too; to be closed by who opened it. */
  shared?: { catalog: Catalog; wake: Wake; digests?: DigestPool };
}

/** Of a house that needs no folder. */
const NO_FOLDER = '/nowhere';

/** Opens it in a fresh folder, with the store that `env` names, until the test has finished. */
export async function openHouse(
  env: NodeJS.ProcessEnv,
  limits: Partial<Limits> = {},
  { surroundings = SYSTEM, ...options }: HouseOptions = {},
): Promise<House> {
  // Thousands of houses are opened over catalogs and stores that are there.
  const folder = options.store && options.shared ? NO_FOLDER : await makeTempFolder();
  const time = options.time ?? surroundings;
  const catalog = options.shared?.catalog ?? (await openNewCatalog({ file: `${folder}/catalog.db`, time }));
  const store =
    options.store ??
    (await openStore(parseConfig({ ...env, DATA_DIR: folder }).store, {
      dataDir: folder,
      ledger: ledgerOf(catalog),
      now: () => catalog.clock.earliest(),
      surroundings,
    }));
  const digests = options.shared?.digests ?? createDigestPool(['md5'], undefined, 'a secret of tests');
  const stopping = new AbortController();
  // As of a service: every attempt listens to it.
  setMaxListeners(0, stopping.signal);
  const node = surroundings.newId();
  await catalog.joinNode(node, aboutNode());
  const log = pino({ level: 'silent' });
  const wake = options.shared?.wake ?? createProcessWake();
  const parts: Parts = {
    catalog,
    store,
    leases: createLeases({ catalog, node, wake, surroundings, log }),
    surroundings,
    secret: 'a secret of tests',
    digests,
    limits: {
      maxFileSizeBytes: null,
      uploadTtlMs: 60_000,
      trashTtlMs: 0,
      lockTimeoutMs: 1000,
      maxOpenUploads: 10_000,
      quotaOf: () => NO_QUOTA,
      instant: 'owner',
      digests: ['md5'],
      addressLifeMs: null,
      ...limits,
    },
    log,
    contentMutex: createKeyedMutex(),
    cleaning: createCleaning(),
    later: NOTHING_LATER,
    stopping: stopping.signal,
  };
  const life = createLife(parts);
  onTestFinished(async () => {
    stopping.abort();
    await parts.leases.close();
    if (!options.store) await store.close();
    if (!options.shared?.digests) await digests.close();
    if (!options.shared) await catalog.close();
  });
  return {
    folder,
    parts,
    ...life,
    begin: async (bytes, declared = { size: bytes.length }) => {
      const id = randomUUID();
      const declaration = {
        ...declared,
        md5: md5(bytes),
        sha1: null,
        sha256: null,
        filename: 'a',
        filetype: null,
        metadata: '',
      };
      await life.uploads.begin({ id, owner: 'anyone', declaration });
      return id;
    },
    stop: () => stopping.abort(),
  };
}
