/** Runs suites with a service on each bucket, behind a proxy that makes chosen calls fail. */
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { BUCKETS, type SystemBucket } from './buckets.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type RunningService, startService } from './service.ts';

/** What there is while a test runs. */
export interface FaultyBucket {
  bucket: SystemBucket;
  proxy: FaultProxy;
  /** Reaches the bucket through the proxy alone. */
  service: RunningService;
}

export interface FaultyBucketOptions {
  /** Whether all tests share one service, or each has its own. */
  service: 'shared' | 'own';
  /** Settings of the service. */
  env?: NodeJS.ProcessEnv;
  /** What must hold after each test: no call goes wrong any more, and the service still runs. */
  afterTest?: (ground: FaultyBucket) => Promise<void>;
}

/** Runs a suite over each bucket; it is skipped for one that cannot be started here. */
export function describeOverFaultyBuckets(
  title: string,
  options: FaultyBucketOptions,
  suite: (ground: FaultyBucket) => void,
): void {
  for (const { name, missing, start } of BUCKETS) {
    if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
    describe(`in a bucket of ${name}`, () => {
      // oxlint-disable-next-line vitest/valid-title -- it is handed on
      describe.skipIf(missing !== undefined)(title, () => {
        suite(prepareGround(start, options));
      });
    });
  }
}

/** @returns an object that the hooks fill. */
function prepareGround(
  start: () => Promise<SystemBucket>,
  { service, env, afterTest }: FaultyBucketOptions,
): FaultyBucket {
  const ground = {} as FaultyBucket;

  async function startOnBucket(): Promise<void> {
    ground.service = await startService({ env: { ...ground.bucket.env(ground.proxy.port), INSTANT: 'off', ...env } });
  }

  beforeAll(async () => {
    ground.bucket = await start();
    ground.proxy = await startFaultProxy({ toPort: ground.bucket.port });
    if (service === 'shared') await startOnBucket();
  });
  if (service === 'own') beforeEach(startOnBucket);
  afterEach(async () => {
    ground.proxy.clear();
    try {
      await afterTest?.(ground);
    } finally {
      if (service === 'own') {
        await ground.service.stop();
        // The next one has a new catalog, to which it does not belong.
        await ground.bucket.empty();
      }
    }
  });
  afterAll(async () => {
    if (service === 'shared') await ground.service.stop();
    await ground.proxy.stop();
    await ground.bucket.stop();
  });
  return ground;
}
