/**
 * `npm run chaos -- [ground] [rounds] [seed]`: in each round, the real client uploads a file to
 * the real service over a slow connection, and so does a client of another way (ways.ts). At a random moment, one of them or the gateway of the
 * bucket is killed (SIGKILL), or the connection is cut. The round ends when the client reports
 * success. On a ground with faults, S3 calls fail, too: they are refused, stalled, cut,
 * performed twice, performed without an answer, or get a false answer. In a storm, a plain tus
 * client sends many uploads at once, and nothing is killed.
 * `power`, `nodes`, `rolling` and `races` are other kinds of runs: see power.ts, nodes.ts and races.ts.
 * Exits with code 1 when a file is corrupt or missing, an offset went back, or anything is left
 * over in the store.
 */
import { setMaxListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { runCli } from '../../test/harness/cli.ts';
import { digestOfUrl, makeRandomFile } from '../../test/harness/make-file.ts';
import { openLine } from '../../test/harness/proxy.ts';
import { type RunningService, startService } from '../../test/harness/service.ts';
import { type Ground, GROUNDS, openGround, type Victim } from './grounds.ts';
import { runNodes } from './nodes.ts';
import { observeOffsets } from './observer.ts';
import { runPower } from './power.ts';
import { runRaces } from './races.ts';
import { createRandom, type Random } from './random.ts';
import type { Run } from './requests.ts';
import { chooseBytes } from './resuming-client.ts';
import { rideStorm } from './storm.ts';
import { uploadInSomeWay } from './ways.ts';

const MIB = 1024 * 1024;
/** The most attempts of the client in one round, or of a download: with more, it would never succeed. */
const MOST_TRIES = 12;
const MOST_ROUNDS = 5000;
const LINE_BYTES_PER_SECOND = 60 * MIB;
/** Messages with which the client may give up while something is being killed or cut. */
const EXPECTED_ENDS = /ECONN|socket|reach|refused|connection|store/i;
/** The wait until each job has run, and bytes that were still being sent have arrived. */
const CLEANING_MS = [1000, 5000, 20_000];

interface Told {
  name: string;
  md5: string;
  size: number;
  url: string;
}

const [, , kind, ...rest] = process.argv;
if (kind === 'power') process.exit(await runPower(rest));
if (kind === 'races') process.exit(await runRaces(rest));
if (kind === 'nodes' || kind === 'rolling') process.exit(await runNodes(kind, rest));
const words = process.argv.slice(2).filter((word) => !/^\d+$/.test(word));
const [rounds = 200, seed = Date.now() % 1_000_000, ...more] = process.argv.slice(2).filter(Number).map(Number);
const groundName = GROUNDS.find((name) => name === (words[0] ?? 'local'));
if (rounds > MOST_ROUNDS || words.length > 1 || more.length > 0 || !groundName) {
  process.stderr.write(
    `Usage: npm run chaos -- [${GROUNDS.join('|')}] [rounds 1..${MOST_ROUNDS}] [seed]\n` +
      '       npm run chaos -- power [cuts] [seed]\n       npm run chaos -- nodes|rolling|races [rounds] [seed]\n',
  );
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'tidemark-chaos-'));
const dataDir = join(folder, 'data');
const random = createRandom(seed);
const problems: string[] = [];
const told: Told[] = [];
const kills = { client: 0, service: 0, both: 0, line: 0, gateway: 0 };
process.stdout.write(`chaos: ${rounds} rounds, seed ${seed}, ${groundName}\n`);
const ground = await openGround(groundName, dataDir, seed);
const service = await startService({ dataDir, env: { ...ground.env, LOG_LEVEL: 'info' } });
try {
  if (groundName.endsWith('-storm')) {
    const { kept, problems: found } = await rideStorm(service.url, rounds, seed);
    problems.push(...found);
    told.push(...kept.map(({ location: url, ...file }) => ({ ...file, url })));
  }
  for (let round = 1; round <= rounds && !groundName.endsWith('-storm'); round++) {
    await playRound(round, service, random);
    if (round % 10 === 0) process.stdout.write(`${round} rounds, ${problems.length} problems\n`);
  }
  ground.calm();
  // Every file that was reported as complete must still be there after the last round.
  for (const file of told) await verify(file, 'at the end');
  problems.push(...(await clean(service, ground)).map((what) => `left behind: ${what}`));
} catch (error) {
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await service.stop();
  await ground.stop();
  await rm(folder, { recursive: true, force: true });
}
process.stdout.write(
  `kills: ${kills.client} client, ${kills.service} service, ${kills.both} both, ${kills.gateway} gateway, ` +
    `${kills.line} lines cut; ${ground.faults()} S3 calls gone wrong\n` +
    `${told.length} files told complete, ${problems.length} problems\n`,
);
for (const problem of problems) process.stdout.write(`PROBLEM: ${problem}\n`);
if (problems.length > 0) process.stdout.write(`seed ${seed}; the service said:\n${service.output().slice(-4000)}\n`);
process.exit(problems.length > 0 ? 1 : 0);

async function playRound(round: number, target: RunningService, dice: Random): Promise<void> {
  const name = `file-${round}.bin`;
  const path = join(folder, name);
  const size = dice.pick([dice.between(0, 1000), dice.between(1, 4 * MIB), dice.between(4 * MIB, 40 * MIB)]);
  const md5 = await makeRandomFile(path, size);
  const line = await openLine({ toPort: target.port, bytesPerSecond: LINE_BYTES_PER_SECOND });
  const observer = observeOffsets(target.url, md5);
  const other = playOther(round, line.url);
  let uploaded: Told | undefined;
  try {
    for (let attempt = 1; ; attempt++) {
      if (attempt > MOST_TRIES) throw new Error(`round ${round}: no end after ${MOST_TRIES} tries`);
      const run = runCli(['upload', path, '--server', line.url, '--json'], folder);
      // Later attempts are interrupted less and less, so that every round ends.
      const strike = attempt <= 3 ? strikeLater(dice, run.child, target, () => line.cut()) : undefined;
      const result = await run.done;
      await strike?.settled();
      if (result.exitCode === 0) {
        uploaded = readTold(result.stdout, name, md5, size);
        told.push(uploaded);
        break;
      }
      if (result.exitCode !== null && !EXPECTED_ENDS.test(result.stderr)) {
        problems.push(`round ${round}: the client exited with ${result.exitCode}: ${result.stderr.slice(-500)}`);
      }
    }
    const second = await other;
    for (const file of [uploaded, second]) if (file) await verify(file, `round ${round}`);
  } finally {
    problems.push(...(await observer.stop()).map((text) => `round ${round}: ${text}`));
    await line.close();
    await rm(path, { force: true });
  }
}

/** Uploads another file by a client of the runs with nodes, in one of its ways. Never rejects. @returns undefined where that failed. */
async function playOther(round: number, url: string): Promise<Told | undefined> {
  const dice = createRandom(seed * 1_000_003 + round);
  const run: Run = { url, problems: [], failures: 0, uncertain: [] };
  const bytes = chooseBytes(dice, seed + round);
  const never = new AbortController();
  setMaxListeners(0, never.signal);
  const plan = { name: `other-${round}.bin`, bytes, isDeferred: dice.between(1, 8) === 1, dice };
  try {
    const { location, ...file } = await uploadInSomeWay(run, { ...plan, killed: () => never.signal });
    const other = { ...file, url: location };
    told.push(other);
    return other;
  } catch (error) {
    run.problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return undefined;
  } finally {
    problems.push(...run.problems.map((text) => `round ${round}: ${text}`));
  }
}

/** Kills or cuts at a random moment, even if the client is done by then. */
function strikeLater(
  dice: Random,
  client: { kill(signal: NodeJS.Signals): boolean },
  target: RunningService,
  cutLine: () => void,
): { settled(): Promise<void> } {
  const victim: Victim = dice.pick(ground.victims);
  const afterMs = dice.between(150, 1500);
  kills[victim]++;
  const striking = (async () => {
    await wait(afterMs);
    if (victim === 'client' || victim === 'both') client.kill('SIGKILL');
    if (victim === 'line') cutLine();
    if (victim === 'gateway') await ground.restartGateway();
    if (victim === 'service' || victim === 'both') await restartService(target);
  })();
  return { settled: () => striking };
}

/** Starts the service again. It exits while it cannot use the bucket: then it is started once more, as an operator would. */
async function restartService(target: RunningService): Promise<void> {
  for (let tried = 1; ; tried++) {
    try {
      await target.restart();
      return;
    } catch (error) {
      if (tried === MOST_TRIES || ground.faults() === 0) throw error;
    }
  }
}

function readTold(stdout: string, name: string, md5: string, size: number): Told {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  const { url } = JSON.parse(line) as { url: string };
  return { name, md5, size, url };
}

async function verify(file: Told, when: string): Promise<void> {
  // The address in the catalog leads through the slow connection: this asks the service directly.
  const url = new URL(new URL(file.url).pathname, service.url).href;
  const found = await fetchDigest(url);
  if (found.status !== 200) problems.push(`${when}: ${file.name} was told complete and is missing (${found.status})`);
  else if (found.md5 !== file.md5 || found.size !== file.size) {
    problems.push(`${when}: ${file.name} is corrupt: ${found.size} bytes, MD5 ${found.md5}`);
  }
}

/** A download may be refused or cut while the store has faults; one that looks complete has to be right. */
async function fetchDigest(url: string): ReturnType<typeof digestOfUrl> {
  for (let tried = 1; ; tried++) {
    try {
      const found = await digestOfUrl(url);
      if (found.status !== 503 || tried === MOST_TRIES) return found;
    } catch (error) {
      if (tried === MOST_TRIES) throw error;
    }
  }
}

/** Lets the service clean up, as it does at every start. @returns what is left after that. */
async function clean(target: RunningService, where: Ground): Promise<string[]> {
  let left: string[] = [];
  for (const forMs of CLEANING_MS) {
    await target.restart();
    await wait(forMs);
    // Other processes can read the catalog once the service has exited.
    await target.kill('SIGTERM');
    left = await where.leftovers();
    if (left.length === 0) break;
  }
  return left;
}
