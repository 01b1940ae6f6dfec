/** Whole-system tests over each store: a service on a folder, on Ceph, on OSS, and one way to look at what they hold. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { LEAST_PART_BYTES } from '../../stores/s3/part-sizes.ts';
import { idOf, offsetOf, storedNames, until, writtenBytes } from '../system/support.ts';
import { BUCKETS, type SystemBucket } from './buckets.ts';
import { type RunningService, startService } from './service.ts';
import { countWaitingBytes } from './sockets.ts';

/** What a bucket takes at once of uploads of up to 80 GB. */
export const PART = LEAST_PART_BYTES;

/** What a store holds of a service. */
interface Holdings {
  /** Names of final bytes. */
  contents(): Promise<string[]>;
  /** Names of what unfinished uploads left: files, tails, multipart uploads. Each holds the upload's id. */
  unfinished(): Promise<string[]>;
  /** What the content is called that this upload became: by its MD5 in a folder, by its upload in a bucket. */
  contentName(location: string, inFolder: string): string;
  /** Removes final bytes behind the service's back. */
  loseContent(name: string): Promise<void>;
  /** Puts other bytes in the place of final ones behind the service's back. */
  changeContent(name: string, change: (bytes: Buffer) => Buffer): Promise<void>;
  /**
   * Resolves when so many bytes of an upload, counted from its first, are where a kill of the
   * service finds them: written to the disk, or in the bucket, where a HEAD has had them stored.
   */
  untilTaken(location: string, bytes: number): Promise<void>;
}

export type StoredService = RunningService & Holdings;

export interface TestStore {
  readonly name: 'local' | 'Ceph' | 'OSS';
  /** Settings of a place of its own: a prefix of the one bucket. A folder has its data folder. */
  newPlace(): NodeJS.ProcessEnv;
  /** Starts a service, in a place of its own unless it is given one and a data folder. */
  startService(env?: NodeJS.ProcessEnv, dataDir?: string): Promise<StoredService>;
}

/** Runs a suite over each store; Ceph and OSS are started once for it. Ceph's is skipped where there is none. */
export function describeOverStores(suite: (store: TestStore) => void): void {
  describe('over local', () => {
    suite(LOCAL);
  });
  for (const { name, missing, start } of BUCKETS) {
    if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
    describe.skipIf(missing !== undefined)(`over ${name}`, () => {
      let bucket: SystemBucket;
      let places = 0;
      beforeAll(async () => {
        bucket = await start();
      });
      afterAll(() => bucket.stop());
      const newPlace = (): NodeJS.ProcessEnv => ({ ...bucket.env(), S3_PREFIX: `place-${++places}/` });
      suite({
        name,
        newPlace,
        startService: (env, dataDir) => startOnBucket(bucket, { ...newPlace(), ...env }, dataDir),
      });
    });
  }
}

export const LOCAL: TestStore = {
  name: 'local',
  newPlace: () => ({}),
  startService: async (env = {}, dataDir) => {
    const service = await startService(dataDir === undefined ? { env } : { env, dataDir });
    const isUnfinished = (name: string): boolean => name.startsWith('tmp_');
    const holdings: Holdings = {
      contents: async () => (await storedNames(service)).filter((name) => !isUnfinished(name)),
      unfinished: async () => (await storedNames(service)).filter(isUnfinished),
      contentName: (_location, inFolder) => inFolder,
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
    contentName: idOf,
    loseContent: (name) => bucket.remove(prefix + name),
    changeContent: (name, change) => bucket.overwrite(prefix + name, change),
    untilTaken: async (location, bytes) => {
      // Twice: while the kernel's table is read, bytes may go from one end of a connection to the other.
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
