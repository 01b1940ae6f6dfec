/** The life of uploads with the real catalog, store and digests, without a service around it. */
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { type Clock, createClock } from '../../server/clock.ts';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { parseConfig } from '../../server/config/parse.ts';
import { createLeases } from '../../server/leases/create-leases.ts';
import { createProcessWake, type Wake } from '../../server/leases/wake.ts';
import type { Uploads } from '../../server/uploads/contract.ts';
import { NOTHING_LATER } from '../../server/uploads/later-digests.ts';
import { createKeyedMutex } from '../../server/uploads/keyed-mutex.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import type { Limits, Parts } from '../../server/uploads/parts.ts';
import { createRecovery, type Recovery } from '../../server/uploads/recovery.ts';
import { createUploads } from '../../server/uploads/uploads.ts';
import { createWriters, type Writers } from '../../server/uploads/writers.ts';
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

export interface House {
  /** Of the catalog, and of the files of the local store. */
  folder: string;
  parts: Parts;
  writers: Writers;
  recovery: Recovery;
  uploads: Uploads;
  /** Begins an upload of these bytes; its id. */
  begin(bytes: Buffer): Promise<string>;
  /** Tells everything to stop. */
  stop(): void;
}

interface HouseOptions {
  surroundings?: Surroundings;
  clock?: Clock;
  /** In place of the one that `env` names. */
  store?: Store;
  /** That other nodes have, too; to be closed by who opened it. */
  shared?: { catalog: Catalog; wake: Wake; digests?: DigestPool };
}

/** Opens it in a fresh folder, with the store that `env` names, until the test has finished. */
export async function openHouse(
  env: NodeJS.ProcessEnv,
  limits: Partial<Limits> = {},
  { surroundings = SYSTEM, ...options }: HouseOptions = {},
): Promise<House> {
  const clock = options.clock ?? createClock({ source: surroundings, believeAfterMs: Infinity });
  const folder = await makeTempFolder();
  const catalog = options.shared?.catalog ?? (await openSqliteCatalog({ file: `${folder}/catalog.db` }));
  const config = parseConfig({ ...env, DATA_DIR: folder });
  const store =
    options.store ??
    (await openStore(config.store, {
      dataDir: folder,
      ledger: { parts: (id) => catalog.listParts(id), durable: () => catalog.durable() },
      now: () => clock.earliest(),
      surroundings,
    }));
  const digests = options.shared?.digests ?? createDigestPool(['md5']);
  const stopping = new AbortController();
  const node = surroundings.newId();
  await catalog.joinNode(node);
  const log = pino({ level: 'silent' });
  const wake = options.shared?.wake ?? createProcessWake();
  const parts: Parts = {
    catalog,
    store,
    leases: createLeases({ catalog, node, wake, surroundings, log }),
    clock,
    surroundings,
    digests,
    limits: {
      maxFileSizeBytes: null,
      uploadTtlMs: 60_000,
      lockTimeoutMs: 1000,
      maxOpenUploads: 10_000,
      instant: 'owner',
      digests: ['md5'],
      addressLifeMs: null,
      ...limits,
    },
    log,
    contentMutex: createKeyedMutex(),
    later: NOTHING_LATER,
    stopping: stopping.signal,
  };
  const writers = createWriters(parts, createFileActions(parts).remove);
  const recovery = createRecovery(parts, writers);
  const uploads = createUploads(parts, writers, recovery);
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
    writers,
    recovery,
    uploads,
    begin: async (bytes) => {
      const id = randomUUID();
      const declaration = {
        size: bytes.length,
        md5: md5(bytes),
        sha1: null,
        sha256: null,
        filename: 'a',
        filetype: null,
        metadata: '',
      };
      await uploads.begin({ id, owner: 'anyone', declaration });
      return id;
    },
    stop: () => stopping.abort(),
  };
}
