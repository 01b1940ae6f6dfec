/**
 * Crash points over a bucket: each call to the provider is refused, has its answer lost, or is the last of the process.
 * The provider is the double of OSS, behind a proxy that counts.
 */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { ledgerOf } from '../../server/service-places.ts';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { parseConfig } from '../../server/config/parse.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { createFaults } from '../../stores/memory/faults.ts';
import { PART } from '../harness/part.ts';
import type { Store } from '../../stores/store.ts';
import { openStore } from '../../stores/stores.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import type { Fault } from '../harness/faults.ts';
import { type RunningOss, startOss } from '../harness/oss/oss.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { JOIN_CRASHES, joinTale } from './crash-join.ts';
import { type Crash, crashEverywhere, type Ground, type Point } from './crash-points.ts';
import { crashesOf, type Story, uploadTale } from './crash-upload.ts';

const TIMEOUT_MS = 60_000;
const PREFIX = 'files/';
const POLL = { interval: 5, timeout: 10_000 };
const FOREVER = new Promise<never>(() => undefined);

let oss: RunningOss;
beforeEach(async () => {
  oss = await startOss();
});
afterEach(() => oss.stop());

/** A process that reaches the bucket by a proxy of its own. */
interface BucketPoint extends Point {
  readonly proxy: FaultProxy;
  /** From now on calls are counted. */
  begin(store: Store): void;
}

function faultOf({ at, follows }: Crash): Fault {
  if (follows === 'die') return at === 'before' ? { kind: 'reset' } : { kind: 'stall', at: 'answer' };
  return at === 'before' ? { kind: 'answer', status: 403, code: 'AccessDenied' } : { kind: 'loseAnswer' };
}

/** Calls that the bucket has answered so far. */
const answered = (): number => oss.requests().filter(({ status }) => status !== undefined).length;

/** The nth call to the bucket. */
async function createPoint(nth: number, crash: Crash): Promise<BucketPoint> {
  const proxy = await startFaultProxy({ toPort: oss.port });
  onTestFinished(() => proxy.stop());
  const dies = crash.follows === 'die';
  let isDead = false;
  let fired: string | undefined;
  let remove: () => void = () => undefined;
  let tellDied: (told: 'died') => void = () => undefined;
  const died = new Promise<'died'>((resolve) => (tellDied = resolve));

  return {
    proxy,
    faults: createFaults(),
    died,
    get fired() {
      return fired;
    },
    begin: (store) => {
      const before = answered();
      const made = proxy.calls().length;
      const rule = proxy.place({ nth, fault: faultOf(crash) });
      remove = rule.remove;
      void rule.hit.then(async () => {
        fired = proxy.calls()[made + nth - 1]?.operation;
        if (!dies) return;
        isDead = true;
        // Others may be answered with it.
        if (crash.at === 'after') await expect.poll(() => answered() - before, POLL).toBeGreaterThanOrEqual(nth);
        await store.close();
        tellDied('died');
      });
    },
    end: () => remove(),
    over: (catalog) => (dies ? untilDeath(catalog, () => isDead) : catalog),
  };
}

/** The catalog as a process reaches it that is not answered any more once it is dead. */
function untilDeath(catalog: Catalog, isDead: () => boolean): Catalog {
  return new Proxy(catalog, {
    get(target, name: keyof Catalog) {
      if (typeof target[name] !== 'function') return target[name];
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return (...args: unknown[]) =>
        isDead() ? FOREVER : method.apply(target, args).then((answer) => (isDead() ? FOREVER : answer));
    },
  });
}

async function inBucket(): Promise<Ground<BucketPoint>> {
  const catalog = await openNewCatalog({ file: `${await makeTempFolder()}/catalog.db` });
  const digests = createDigestPool(['md5']);
  onTestFinished(async () => {
    await digests.close();
    await catalog.close();
  });
  return {
    catalog,
    digests,
    createPoint,
    openStore: async (point, aheadMs = 0) => {
      const { store: settings } = parseConfig({
        STORE: 'oss',
        S3_ENDPOINT: `http://s3.oss-${oss.region}.aliyuncs.com:${point?.proxy.port ?? oss.port}`,
        S3_PART_BYTES: String(PART),
        S3_BUCKET: oss.bucket,
        S3_PREFIX: PREFIX,
        S3_ACCESS_KEY_ID: oss.accessKeyId,
        S3_SECRET_ACCESS_KEY: oss.secretAccessKey,
      });
      const store = await openStore(settings, {
        dataDir: '',
        ledger: ledgerOf(catalog),
        now: () => Date.now() + aheadMs,
        surroundings: SYSTEM,
      });
      onTestFinished(() => store.close());
      point?.begin(store);
      return store;
    },
    leavesUnnoted: true,
    listContents: () =>
      oss
        .objects()
        .map(({ key }) => key.slice(PREFIX.length))
        .filter((key) => !key.startsWith('tails/')),
  };
}

const small = makeBytes(5_000, 58);
const large = makeBytes(PART + 5_000, 59);
const STORIES: Record<string, Story & { last: RegExp }> = {
  'an upload of one part, in two requests': {
    bytes: small,
    chunkBytes: 1300,
    first: { until: 2_500 },
    last: /DeleteObject/,
  },
  'an upload of two parts, the first request of which is cut': {
    bytes: large,
    chunkBytes: 1024 * 1024,
    first: { cutAt: PART + 1_000 },
    last: /CreateMultipartUpload[^]*UploadPart[^]*CompleteMultipartUpload[^]*DeleteObject/,
  },
  'an upload of two parts, in two requests with checksums': {
    bytes: large,
    chunkBytes: 1024 * 1024,
    first: { until: PART + 1_000, checksum: 'right' },
    last: /CreateMultipartUpload[^]*UploadPart[^]*CompleteMultipartUpload[^]*DeleteObject/,
  },
  'an upload of one part, the checksum of whose first request is wrong': {
    bytes: small,
    chunkBytes: 1300,
    first: { until: 2_500, checksum: 'wrong' },
    last: /DeleteObject/,
  },
};

describe.each(Object.entries(STORIES))('%s, wherever', (_, { last, ...story }) => {
  test.each(crashesOf(story).filter(({ follows }) => follows !== 'lose power'))(
    'a call to the bucket $name',
    { timeout: TIMEOUT_MS },
    async (crash) => {
      const calls = await crashEverywhere(crash, await inBucket(), () => uploadTale(story));
      expect(calls.join('\n')).toMatch(last);
      expect(oss.objects()).toEqual([]);
      // OSS lists no multipart uploads: of one whose beginning was not answered, nobody knows.
      const unknown = crash.at === 'after' ? calls.filter((name) => name === 'CreateMultipartUpload') : [];
      expect(oss.uploads()).toHaveLength(unknown.length);
    },
  );
});

describe('two partials, and two finals that join them, wherever', () => {
  test.each(JOIN_CRASHES.filter(({ follows }) => follows !== 'lose power'))(
    'a call to the bucket $name',
    { timeout: TIMEOUT_MS },
    async (crash) => {
      const calls = await crashEverywhere(crash, await inBucket(), () => joinTale([1_700, 1_300]));
      expect(calls.join('\n')).toMatch(/GetObject[^]*DeleteObject/);
      expect(oss.objects()).toEqual([]);
      expect(oss.uploads()).toEqual([]);
    },
  );
});
