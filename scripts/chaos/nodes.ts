/**
 * `npm run chaos -- nodes [rounds] [seed]`: three nodes on one PostgreSQL and one Ceph, behind a balancer that distributes
 * requests in turns. In each round clients upload in all ways that the service speaks (ways.ts), rename, delete and add instantly; some use the same bytes, some send the
 * same PATCH twice at once. Meanwhile one of these happens: a node is killed, or frozen for longer than its leases live and
 * then woken up; the database restarts, crashes, freezes or loses its connections; the bucket's gateway is killed; clients are
 * killed; the network between a node and the database drops everything; or all nodes are restarted, one after the other. Each
 * round has a seed of its own, that of the run plus its number minus one. The seed decides what happens, when, and what clients
 * do: `nodes 1 <seed of the round>` plays one round again, as far as timing allows.
 *
 * With `TRASH_TTL` in the environment, e.g. `1h`, the nodes have a trash, and clients restore from it what they have deleted.
 *
 * `npm run chaos -- rolling [rounds] [seed]`: in each round all nodes are stopped and restarted, one after the other.
 *
 * Exits with code 1 where a file is corrupt, lost or published twice, an acknowledged offset went back, a client got a refusal
 * that the protocol does not let it retry, or anything is left over in catalog or bucket.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { digestOfUrl } from '../../test/harness/make-file.ts';
import { cleanUp, type Cluster, type ClusterNode, HAS_TRASH, startCluster } from './cluster.ts';
import { createRandom, type Random } from './random.ts';
import type { Plan, Run } from './requests.ts';
import { addInstantly, chooseBytes, remove, removeAndRestore, rename, type Sent } from './resuming-client.ts';
import { uploadInSomeWay } from './ways.ts';

const MOST_ROUNDS = 5000;
const CLIENTS = 8;
/** All clients begin within this time. Each sends one file after the other until the strike is over. */
const SPREAD_MS = 1_500;
const MOST_REST_MS = 1_600;
/** Leases of a node live for 10 s after its last heartbeat. */
const LONGER_THAN_A_LEASE_MS = 11_500;
const MOST_DOWNLOADS = 20;

type Strike = (cluster: Cluster, node: ClusterNode, dice: Random) => Promise<void>;

/** Stops and restarts all nodes, one after the other, as for a new version. */
const ROLLING: Strike = async ({ nodes }) => {
  for (const { service } of nodes) {
    const code = await service.kill('SIGTERM');
    if (code !== 0) throw new Error(`a node that was told to stop ended with ${code}`);
    await service.restart();
  }
};

const STRIKES: Record<string, Strike> = {
  'a node is killed': (_, { service }) => service.restart(),
  'a node is frozen': (_, node) => freeze(node, () => wait(LONGER_THAN_A_LEASE_MS)),
  'the database restarts': ({ database }) => database.restart(),
  'the gateway is killed': (cluster) => cluster.restartGateway(),
  'the network to the database is split': async (_, { line }, dice) => {
    line.freeze();
    await wait(dice.pick([2_000, 6_000, LONGER_THAN_A_LEASE_MS]));
    line.thaw();
  },
  'the database crashes': async ({ database }, _, dice) => {
    await database.kill();
    await wait(dice.between(0, 2_000));
    await database.restart();
  },
  // `playRound` kills the clients.
  'clients are killed': async () => undefined,
  'connections to the database end': async (cluster, _, dice) => {
    for (let times = 0; times < 5; times++) {
      await cluster.endConnections();
      await wait(dice.between(100, 1_000));
    }
  },
  'the database stands still': (cluster, _, dice) => cluster.freezeDatabase(dice.between(500, 4_000)),
  'a node is killed while another is frozen': async ({ nodes }, node, dice) => {
    const other = dice.pick(nodes.filter((each) => each !== node));
    await freeze(other, () => Promise.all([node.service.restart(), wait(LONGER_THAN_A_LEASE_MS)]));
  },
  'all nodes restart': ROLLING,
};

async function freeze({ service }: ClusterNode, meanwhile: () => Promise<unknown>): Promise<void> {
  process.kill(service.pid, 'SIGSTOP');
  try {
    await meanwhile();
  } finally {
    process.kill(service.pid, 'SIGCONT');
  }
}

/** Runs the rounds. @returns the exit code. */
export async function runNodes(kind: 'nodes' | 'rolling', words: readonly string[]): Promise<number> {
  const [rounds = 20, seed = Date.now() % 1_000_000, ...more] = words.map(Number);
  if (!(rounds >= 1 && rounds <= MOST_ROUNDS && seed >= 0) || more.length > 0) {
    process.stderr.write(`Usage: npm run chaos -- ${kind} [rounds 1..${MOST_ROUNDS}] [seed]\n`);
    return 2;
  }
  process.stdout.write(`chaos: ${rounds} rounds, seed ${seed}, ${kind}\n`);
  const cluster = await startCluster();
  const kept: Sent[] = [];
  let failed = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      const problems = await playRound(cluster, kind, seed + round, kept);
      if (problems.length === 0) continue;
      failed++;
      for (const problem of problems)
        process.stdout.write(`PROBLEM in the round of seed ${seed + round}: ${problem}\n`);
      for (const [number, { service }] of cluster.nodes.entries()) {
        process.stdout.write(`node ${number} said:\n${troubles(service.output())}\n`);
      }
    }
  } finally {
    await cluster.stop();
  }
  process.stdout.write(`${rounds - failed} passed, ${failed} failed\n`);
  return failed > 0 ? 1 : 0;
}

/** Plays one round. @param kept - files of earlier rounds; those of this round are added. @returns the problems. */
async function playRound(cluster: Cluster, kind: 'nodes' | 'rolling', seed: number, kept: Sent[]): Promise<string[]> {
  const dice = createRandom(seed);
  const names = Object.keys(STRIKES);
  // Consecutive seeds go through all strikes.
  const name = kind === 'rolling' ? 'all nodes restart' : (names[seed % names.length] ?? '');
  const strike = STRIKES[name] ?? ROLLING;
  const begunAt = Date.now();
  const run: Run = { url: cluster.url, problems: [], failures: 0, uncertain: [] };
  let killing = createKilling();
  const files: Sent[] = [];
  const same = dice.between(0, CLIENTS - 2);
  try {
    let isOver = false;
    const striking = (async () => {
      await wait(dice.between(200, SPREAD_MS));
      if (name === 'clients are killed') {
        for (let times = 0; times < 3; times++) {
          killing.abort();
          killing = createKilling();
          await wait(dice.between(200, 800));
        }
      }
      await strike(cluster, dice.pick(cluster.nodes), dice);
    })();
    const settled = striking.finally(() => (isOver = true));
    settled.catch(() => undefined);
    const clients = Array.from({ length: CLIENTS }, async (_, number) => {
      const own = createRandom(seed * 1_000_003 + number);
      // Two clients begin with the same bytes at once.
      const hasTwin = number === same || number === same + 1;
      if (!hasTwin) await wait(own.between(0, SPREAD_MS));
      for (let file = 0; file === 0 || !isOver; file++) {
        const isTwin = hasTwin && file === 0;
        const bytes = chooseBytes(isTwin ? createRandom(seed) : own, isTwin ? seed : own.between(1, 2 ** 30));
        const isDeferred = own.between(1, 8) === 1;
        const plan = { name: `${seed}-${number}-${file}`, bytes, isDeferred, dice: own, killed: () => killing.signal };
        files.push(...(await playClient(run, plan)));
        await wait(own.between(0, MOST_REST_MS));
      }
    });
    const ends = await Promise.allSettled([...clients, settled]);
    for (const end of ends) if (end.status === 'rejected') run.problems.push(messageOf(end.reason));
    await verify(cluster, run, { files, seed, kept });
    kept.push(...files);
    run.problems.push(...(await cleanUp(cluster)).map((what) => `left over: ${what}`));
  } catch (error) {
    run.problems.push(messageOf(error));
  }
  const took = ((Date.now() - begunAt) / 1000).toFixed(1);
  const counts = `${files.length} files, ${run.failures} requests repeated, ${run.problems.length} problems`;
  process.stdout.write(`seed ${seed}: ${name}: ${counts}, ${took} s\n`);
  return run.problems;
}

function createKilling(): AbortController {
  const killing = new AbortController();
  // Every request of every client adds a listener.
  setMaxListeners(0, killing.signal);
  return killing;
}

/** Uploads a file, and then may rename, delete or copy it. @returns the files that must exist afterwards. */
async function playClient(run: Run, plan: Plan): Promise<Sent[]> {
  const { dice, name } = plan;
  const sent = await uploadInSomeWay(run, plan);
  const then = dice.between(1, 8);
  if (then === 1) {
    await remove(run, plan, sent);
    return [];
  }
  if (then === 2) {
    // Concurrent: either the content is removed with its last file, or it gets another file before.
    const [, added] = await Promise.all([remove(run, plan, sent), addInstantly(run, plan, sent, `${name}-again`)]);
    return added ? [added] : [];
  }
  if (then === 4) {
    // In either order, the file is gone afterwards.
    await Promise.all([rename(run, plan, sent, `${name}-renamed`), remove(run, plan, sent)]);
    return [];
  }
  if (then === 5) {
    const status = await rename(run, plan, sent, `${name}-renamed`);
    if (status !== 200) run.problems.push(`${name} is complete, and its rename is answered with ${status}`);
    return [{ ...sent, name: `${name}-renamed` }];
  }
  if (then === 6 && HAS_TRASH) {
    const restored = await removeAndRestore(run, plan, sent);
    return restored ? [restored] : [];
  }
  const added = then === 3 ? await addInstantly(run, plan, sent, `${name}-again`) : undefined;
  if (then === 3 && !added) run.problems.push(`${name} is complete, and /check does not know its bytes`);
  return added ? [sent, added] : [sent];
}

/** Checks that every file of the round exists, once, with the right bytes; and the bytes of some files of earlier rounds. */
async function verify(
  cluster: Cluster,
  run: Run,
  { files, seed, kept }: { files: readonly Sent[]; seed: number; kept: readonly Sent[] },
): Promise<void> {
  const listed = await cluster.run<{ name: string }>(
    `select name from files where name like '${seed}-%' order by name`,
  );
  const expected = files.map(({ name }) => name).toSorted();
  const found = listed
    .map(({ name }) => name)
    .filter((each) => !run.uncertain.includes(each))
    .toSorted();
  if (found.join() !== expected.join()) run.problems.push(`files ${found.join()} instead of ${expected.join()}`);
  const twice = await cluster.run<{ md5: string }>('select md5 from contents group by md5 having count(*) > 1');
  run.problems.push(...twice.map(({ md5 }) => `two contents with the MD5 ${md5}`));
  for (const file of [...files, ...kept.slice(-MOST_DOWNLOADS)]) {
    const got = await digest(file.location);
    if (got?.md5 === file.md5 && got.size === file.size) continue;
    run.problems.push(`${file.name} of ${file.size} bytes is lost or corrupt: ${JSON.stringify(got)}`);
  }
}

/** Retries: a download may break or be refused while something restarts. */
async function digest(url: string): Promise<Awaited<ReturnType<typeof digestOfUrl>> | undefined> {
  for (let tried = 1; ; tried++) {
    const got = await digestOfUrl(url).catch(() => undefined);
    if (tried === 20 || (got && got.status !== 503)) return got;
    await wait(250);
  }
}

/** The last warnings and errors of a log. */
function troubles(output: string): string {
  return output
    .split('\n')
    .filter((line) => !/^\{"level":[123]0/.test(line))
    .slice(-40)
    .join('\n');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
