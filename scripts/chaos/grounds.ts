/** The grounds of a chaos run: the store of its service, the faults there, and the check for what was left behind. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { BUCKETS, PREFIX, type SystemBucket } from '../../test/harness/buckets.ts';
import type { ChaosOptions } from '../../test/harness/fault-dice.ts';
import { type FaultProxy, startFaultProxy } from '../../test/harness/fault-proxy.ts';

/** Fraction of the S3 calls that fail in a run with faults. */
const FAULT_PROBABILITY = 0.35;
/** More than the store retries, so that some calls fail for good. */
const MOST_FAULTS_PER_CALL = 8;
const LONGEST_STALL_MS = 1500;

/** The phases of a storm, in turn: a few faults of all kinds, refusals of most calls, almost none. */
const WEATHER: { forMs: number; chaos: Omit<ChaosOptions, 'seed'> }[] = [
  { forMs: 6_000, chaos: { probability: 0.15, longestStallMs: LONGEST_STALL_MS } },
  { forMs: 1_500, chaos: { probability: 0.8, kinds: ['answer'], mostPerCall: MOST_FAULTS_PER_CALL } },
  { forMs: 3_000, chaos: { probability: 0.3, longestStallMs: LONGEST_STALL_MS, mostPerCall: MOST_FAULTS_PER_CALL } },
  { forMs: 1_000, chaos: { probability: 0.5, kinds: ['reset', 'loseAnswer', 'cutAnswer'] } },
  { forMs: 2_000, chaos: { probability: 0.02 } },
];

/** Where a run can take place, by its name on the command line. */
export const GROUNDS = ['local', 'ceph', 'oss', 'ceph-faults', 'oss-faults', 'ceph-storm', 'oss-storm'] as const;

export type GroundName = (typeof GROUNDS)[number];
export type Victim = 'client' | 'service' | 'both' | 'line' | 'gateway';

/** One ground. */
export interface Ground {
  /** Settings of the service. */
  env: NodeJS.ProcessEnv;
  /** What may be killed or cut. */
  victims: readonly Victim[];
  /** Kills the bucket's gateway (SIGKILL) and starts it again. */
  restartGateway(): Promise<void>;
  /** Faults so far. */
  faults(): number;
  /** Ends the faults. */
  calm(): void;
  /** Lists what is stored beside the bytes of contents. Call it only while the service does not run. */
  leftovers(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Starts the store of a ground. */
export async function openGround(name: GroundName, dataDir: string, seed: number): Promise<Ground> {
  if (name === 'local') return openFolder(dataDir);
  const place = BUCKETS.find((each) => name.startsWith(each.name.toLowerCase()));
  if (!place || place.missing !== undefined) throw new Error(place?.missing ?? `${name} is unknown`);
  const bucket = await place.start();
  if (name.endsWith('-storm')) return openStormyBucket(bucket, dataDir, seed);
  return name.endsWith('-faults') ? openFaultyBucket(bucket, dataDir, seed) : openBucket(bucket, dataDir);
}

function openFolder(dataDir: string): Ground {
  return {
    env: {},
    victims: ['client', 'service', 'service', 'both', 'line'],
    restartGateway: nothingToRestart,
    faults: () => 0,
    calm: () => undefined,
    leftovers: async () => (await readdir(join(dataDir, 'files'))).filter((name) => name.startsWith('tmp_')),
    stop: async () => undefined,
  };
}

function openBucket(bucket: SystemBucket, dataDir: string): Ground {
  const restartGateway = bucket.restartGateway?.bind(bucket);
  return {
    env: bucket.env(),
    victims: restartGateway
      ? ['client', 'service', 'gateway', 'service', 'gateway', 'both']
      : ['client', 'service', 'both'],
    restartGateway: restartGateway ?? nothingToRestart,
    faults: () => 0,
    calm: () => undefined,
    leftovers: () => compare(bucket, dataDir),
    stop: () => bucket.stop(),
  };
}

async function openFaultyBucket(
  bucket: SystemBucket,
  dataDir: string,
  seed: number,
): Promise<Ground & Pick<FaultProxy, 'setChaos'>> {
  const proxy: FaultProxy = await startFaultProxy({
    toPort: bucket.port,
    chaos: {
      seed,
      probability: FAULT_PROBABILITY,
      longestStallMs: LONGEST_STALL_MS,
      mostPerCall: MOST_FAULTS_PER_CALL,
    },
  });
  return {
    env: bucket.env(proxy.port),
    victims: ['client', 'service', 'line'],
    restartGateway: nothingToRestart,
    faults: () => proxy.calls().filter((call) => call.fault).length,
    calm: () => proxy.clear(),
    setChaos: (chaos) => proxy.setChaos(chaos),
    leftovers: () => compare(bucket, dataDir),
    stop: async () => {
      await proxy.stop();
      await bucket.stop();
    },
  };
}

async function openStormyBucket(bucket: SystemBucket, dataDir: string, seed: number): Promise<Ground> {
  const ground = await openFaultyBucket(bucket, dataDir, seed);
  let turns = 0;
  let timer: NodeJS.Timeout | undefined;
  function turn(): void {
    const weather = WEATHER[turns % WEATHER.length];
    if (!weather) return;
    ground.setChaos({ seed: seed + turns++, ...weather.chaos });
    timer = setTimeout(turn, weather.forMs).unref();
  }
  turn();
  return {
    ...ground,
    calm: () => {
      clearTimeout(timer);
      ground.calm();
    },
    stop: async () => {
      clearTimeout(timer);
      await ground.stop();
    },
  };
}

async function nothingToRestart(): Promise<void> {
  throw new Error('there is no gateway to restart');
}

/** Compares the bucket's listing with the catalog, in both directions. */
async function compare(bucket: SystemBucket, dataDir: string): Promise<string[]> {
  const catalog = new Database(join(dataDir, 'catalog.db'), { readonly: true });
  let known: Set<string>;
  try {
    const rows = catalog.prepare('SELECT key FROM contents').all() as { key: string }[];
    known = new Set(rows.map(({ key }) => key.slice(PREFIX.length)));
  } finally {
    catalog.close();
  }
  const found = await bucket.keys();
  return [
    ...found.filter((key) => !known.has(key)).map((key) => `the object ${key}`),
    ...[...known].filter((key) => !found.includes(key)).map((key) => `a content without its object ${key}`),
    ...(bucket.listsMultiparts ? await bucket.multiparts() : []).map((key) => `a multipart upload of ${key}`),
  ];
}
