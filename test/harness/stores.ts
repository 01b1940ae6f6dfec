/** Runs whole-system tests over each store: a folder, Ceph, OSS. Offers one way to look at what each of them has stored. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { idOf, offsetOf, storedNames, until, writtenBytes } from '../system/support.ts';
import { BUCKETS, type SystemBucket } from './buckets.ts';
import { PART } from './part.ts';
import { type RunningService, startService } from './service.ts';
import { hasPostgres } from './postgres.ts';
import { createDatabase, type TestDatabase } from './shared-postgres.ts';
import { countWaitingBytes } from './sockets.ts';

/** What a service has stored. */
interface Holdings {
  /** Names of final bytes. */
  contents(): Promise<string[]>;
  /** Names of what unfinished uploads have left: files, tails, multipart uploads. Each name contains the upload's id. */
  unfinished(): Promise<string[]>;
  /** The name of the content of a published upload: by its MD5 in a folder (`inFolder`), by the upload's id and its attempt in a bucket. */
  contentName(location: string, inFolder: string): Promise<string>;
  /** Removes final bytes without the service's knowledge. */
  loseContent(name: string): Promise<void>;
  /** Changes final bytes without the service's knowledge. */
  changeContent(name: string, change: (bytes: Buffer) => Buffer): Promise<void>;
  /**
   * Resolves when so many bytes of an upload, counted from its first, would survive a kill of the service: they are
   * written to the disk, or stored in the bucket, as far as they fill parts.
   */
  untilTaken(location: string, bytes: number): Promise<void>;
}

export type StoredService = RunningService & Holdings;

export interface TestStore {
  readonly name: 'local' | 'Ceph' | 'OSS';
  readonly catalog: 'SQLite' | 'PostgreSQL';
  /** Settings of a new place: another prefix of the bucket. None for a folder, where the data folder is the place. */
  newPlace(): NodeJS.ProcessEnv;
  /** Starts a service, in a new place unless `env` and `dataDir` give one. */
  startService(env?: NodeJS.ProcessEnv, dataDir?: string): Promise<StoredService>;
}

/**
 * Runs a suite over each store. Ceph and OSS are started once for the suite; Ceph is skipped where it is not installed.
 * For promises in which calls of a provider take part: what a death leaves, what heals, how partial uploads are joined.
 */
export function describeOverStores(suite: (store: TestStore) => void): void {
  describeOver([LOCAL_GROUND, ...BUCKETS.map((bucket) => bucketGround(bucket))], suite);
}

/**
 * Runs a suite over a folder and one bucket, in which bytes lie differently: who speaks HTTP to the service cannot tell one bucket
 * from another. The bucket is Ceph, or OSS where Ceph is not installed.
 */
export function describeOverFolderAndBucket(suite: (store: TestStore) => void): void {
  describeOver([LOCAL_GROUND, ...firstBuckets().map((bucket) => bucketGround(bucket))], suite);
}

/** Runs a suite over that bucket alone: for what a folder, where each byte counts at once, cannot show. */
export function describeOverBucket(suite: (store: TestStore) => void): void {
  describeOver(
    firstBuckets().map((bucket) => bucketGround(bucket)),
    suite,
  );
}

/**
 * Runs a suite over each store and both dialects of the catalog: PostgreSQL comes with the bucket that nodes share, the others
 * have SQLite. What PostgreSQL and a folder do together is tested in `test/system/postgres.test.ts`.
 * @param buckets - `all`, or only the one that comes with PostgreSQL, where providers do not matter.
 */
export function describeOverCatalogs(suite: (store: TestStore) => void, buckets: 'all' | 'one' = 'all'): void {
  const [shared] = firstBuckets();
  const grounds = (buckets === 'all' ? BUCKETS : firstBuckets()).map((bucket) =>
    bucketGround(bucket, bucket === shared && hasPostgres()),
  );
  describeOver([LOCAL_GROUND, ...grounds], suite);
}

type Bucket = (typeof BUCKETS)[number];

/** The first bucket that can be started here. */
function firstBuckets(): Bucket[] {
  return BUCKETS.filter(({ missing }) => missing === undefined).slice(0, 1);
}

/** Where a suite runs. */
interface Ground {
  title: string;
  missing: string | undefined;
  /** Called where the suite is described: adds what has to be started and stopped around it. */
  open(): TestStore;
}

function describeOver(grounds: readonly Ground[], suite: (store: TestStore) => void): void {
  for (const { title, missing, open } of grounds) {
    if (missing !== undefined) console.warn(`${title} skipped: ${missing}`);
    // oxlint-disable-next-line vitest/valid-title -- one of a few
    describe.skipIf(missing !== undefined)(title, () => {
      suite(open());
    });
  }
}

/** A bucket, which is started once for the suite. */
function bucketGround({ name, missing, start }: Bucket, onPostgres = false): Ground {
  const title = `over ${name}${onPostgres ? ', with the catalog in PostgreSQL' : ''}`;
  const open = (): TestStore => {
    let bucket: SystemBucket;
    let places = 0;
    beforeAll(async () => {
      bucket = await start();
    });
    afterAll(() => bucket.stop());
    const newPlace = (): NodeJS.ProcessEnv => ({ ...bucket.env(), S3_PREFIX: `place-${++places}/` });
    const store: TestStore = {
      name,
      catalog: 'SQLite',
      newPlace,
      startService: (env, dataDir) => startOnBucket(bucket, { ...newPlace(), ...env }, dataDir),
    };
    return onPostgres ? withPostgres(store) : store;
  };
  return { title, missing, open };
}

export const LOCAL: TestStore = {
  name: 'local',
  catalog: 'SQLite',
  newPlace: () => ({}),
  startService: async (env = {}, dataDir) => {
    const service = await startService(dataDir === undefined ? { env } : { env, dataDir });
    const isUnfinished = (name: string): boolean => name.startsWith('tmp_');
    const holdings: Holdings = {
      contents: async () => (await storedNames(service)).filter((name) => !isUnfinished(name)),
      unfinished: async () => (await storedNames(service)).filter(isUnfinished),
      contentName: async (_location, inFolder) => inFolder,
      loseContent: (name) => rm(join(service.dataDir, 'files', name)),
      changeContent: async (name, change) => {
        const path = join(service.dataDir, 'files', name);
        await writeFile(path, change(await readFile(path)));
      },
      untilTaken: (location, bytes) =>
        until(`${bytes} bytes are written`, async () => (await writtenBytes(service, location)) === bytes),
    };
    return Object.assign(service, holdings);
  },
};

const LOCAL_GROUND: Ground = { title: 'over local', missing: undefined, open: () => LOCAL };

/** With the catalog in PostgreSQL: each service has a database of its own, or that of its data folder. */
function withPostgres(store: TestStore): TestStore {
  const databases: TestDatabase[] = [];
  afterAll(async () => {
    for (const database of databases) await database.drop();
  });
  const byFolder = new Map<string, TestDatabase>();
  return {
    ...store,
    catalog: 'PostgreSQL',
    startService: async (env = {}, dataDir) => {
      const known = dataDir === undefined ? undefined : byFolder.get(dataDir);
      const database = known ?? (await createDatabase());
      if (!known) databases.push(database);
      if (dataDir !== undefined) byFolder.set(dataDir, database);
      return store.startService({ ...env, DATABASE_URL: database.url }, dataDir);
    },
  };
}

async function startOnBucket(
  bucket: SystemBucket,
  env: NodeJS.ProcessEnv,
  dataDir: string | undefined,
): Promise<StoredService> {
  const service = await startService(dataDir === undefined ? { env } : { env, dataDir });
  const prefix = String(env['S3_PREFIX']);
  const isTail = (key: string): boolean => key.startsWith('tails/');
  const holdings: Holdings = {
    contents: async () => (await bucket.keys(prefix)).filter((key) => !isTail(key)),
    unfinished: async () => [
      ...(await bucket.keys(prefix)).filter(isTail),
      ...(await bucket.multiparts()).filter((key) => key.startsWith(prefix)),
    ],
    contentName: async (location) => {
      const id = idOf(location);
      return (await holdings.contents()).find((key) => key.startsWith(id)) ?? id;
    },
    loseContent: (name) => bucket.remove(prefix + name),
    changeContent: (name, change) => bucket.overwrite(prefix + name, change),
    untilTaken: async (location, bytes) => {
      // Twice in a row: while the kernel's table is read, bytes may move from one end of a connection to the other.
      let empty = 0;
      await until('nothing waits in a socket', async () => {
        empty = (await countWaitingBytes(service.port)) === 0 ? empty + 1 : 0;
        return empty === 2;
      });
      const direct = service.url + new URL(location).pathname;
      await until('whole parts count', async () => (await offsetOf(direct)) >= wholeParts(bytes), 20_000);
    },
  };
  return Object.assign(service, holdings);
}

function wholeParts(bytes: number): number {
  return Math.floor(bytes / PART) * PART;
}
