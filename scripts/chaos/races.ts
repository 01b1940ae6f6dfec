/**
 * `npm run chaos -- races [rounds] [seed]`: three nodes on one PostgreSQL and one Ceph, all of which keep running. In each
 * round, requests that contradict each other reach different nodes at the same moment. Afterwards all nodes have to give the
 * same answers, some order of the requests has to explain them, and nothing may be left over. Each round has a seed of its own,
 * that of the run plus its number minus one. At the end the run reports how often each combination of statuses was answered
 * (`-`: no answer): a race that the same request wins every time shows little.
 *
 * Exits with code 1 where nodes disagree, no order explains the answers, or anything is left over.
 */
import { createHash } from 'node:crypto';
import { makeBytes } from '../../test/harness/bytes.ts';
import { head, patch } from '../../test/harness/tus.ts';
import { cleanUp, type Cluster, startCluster } from './cluster.ts';
import {
  atOnce,
  tally,
  publish,
  sendWhole,
  begin,
  finish,
  rename,
  remove,
  removeUpload,
  addInstantly,
  tellAll,
  expectStatus,
  expectGone,
  expectBytes,
  expectDigest,
  expectContents,
  type Ground,
  TEMPORARY,
} from './race-requests.ts';
import { createRandom } from './random.ts';

const MIB = 1024 * 1024;
const MOST_ROUNDS = 100_000;
/** How many rounds run at once. */
const LANES = 4;
/** By the kind of race. */
type Tallies = Map<string, Map<string, number>>;

/** Runs a race. @returns the names of exactly the files that must exist afterwards. */
type Race = (ground: Ground) => Promise<string[]>;

const RACES: Record<string, Race> = {
  'rename against delete': async (ground) => {
    const { nodes, name } = ground;
    const id = await publish(ground, nodes[2], name);
    const [renamed, deleted] = await atOnce(ground, [
      () => rename(nodes[0], id, `${name}-new`),
      () => remove(nodes[1], id),
    ]);
    expectStatus(ground, 'the rename', renamed, [200, 404]);
    expectStatus(ground, 'the deletion', deleted, [204]);
    await expectGone(ground, id);
    return [];
  },

  'rename against rename': async (ground) => {
    const { nodes, name } = ground;
    const id = await publish(ground, nodes[2], name);
    const names = nodes.map((_, number) => `${name}-${number}`);
    const answers = await atOnce(
      ground,
      nodes.map((node, number) => () => rename(node, id, names[number] ?? '')),
    );
    for (const answer of answers) expectStatus(ground, 'the rename', answer, [200]);
    const told = await tellAll(ground, `/api/files/${id}`);
    const kept = (JSON.parse(told?.body || '{}') as { name?: string }).name ?? '';
    if (!names.includes(kept)) ground.problems.push(`it is named ${JSON.stringify(kept)}`);
    await expectBytes(ground, id);
    return [kept];
  },

  'delete against delete': async (ground) => {
    const { nodes } = ground;
    const id = await publish(ground, nodes[0], ground.name);
    const answers = await atOnce(
      ground,
      nodes.map((node) => () => remove(node, id)),
    );
    for (const answer of answers) expectStatus(ground, 'a deletion', answer, [204, 404]);
    if (answers.filter((answer) => answer?.status === 204).length !== 1)
      ground.problems.push('not exactly one deletion deleted the file');
    await expectGone(ground, id);
    return [];
  },

  'delete against instant upload': async (ground) => {
    const { nodes, name, outcomes } = ground;
    const id = await publish(ground, nodes[0], name);
    const names = [`${name}-1`, `${name}-2`];
    const [deleted, ...found] = await atOnce(ground, [
      () => remove(nodes[0], id),
      () => addInstantly(ground, nodes[1], names[0] ?? ''),
      () => addInstantly(ground, nodes[2], names[1] ?? ''),
    ]);
    expectStatus(ground, 'the deletion', deleted, [204]);
    const added: string[] = [];
    for (const [number, answer] of found.entries()) {
      expectStatus(ground, '/check', answer, [200]);
      const { file } = JSON.parse(answer?.body || '{}') as { file?: { id: string } };
      if (!file) continue;
      added.push(names[number] ?? '');
      await expectBytes(ground, file.id);
    }
    tally(outcomes, `${added.length} added`);
    await expectGone(ground, id);
    await expectContents(ground, added.length > 0 ? 1 : 0);
    return added;
  },

  'equal bytes at once': async (ground) => {
    const { nodes, name } = ground;
    const names = nodes.map((_, number) => `${name}-${number}`);
    const answers = await atOnce(
      ground,
      nodes.map((node, number) => () => sendWhole(ground, node, names[number] ?? '')),
    );
    const ids: string[] = [];
    for (const answer of answers) {
      expectStatus(ground, 'an upload', answer, [201]);
      const id = answer?.headers['tidemark-file-id'];
      if (typeof id === 'string') ids.push(id);
    }
    await expectContents(ground, 1);
    for (const id of ids) await expectBytes(ground, id);
    // The bytes must stay until the last of these files is deleted, whichever it is.
    const [kept = '', ...others] = ids;
    const deletions = others.map((id, number) => () => remove(nodes[number] ?? nodes[0], id));
    for (const answer of await atOnce(ground, deletions)) expectStatus(ground, 'a deletion', answer, [204]);
    await expectBytes(ground, kept);
    return [names[0] ?? ''];
  },

  'the same PATCH at each node': async (ground) => {
    const { nodes, name, bytes } = ground;
    const path = await begin(ground);
    const answers = await atOnce(
      ground,
      nodes.map((node) => () => patch(node + path, 0, bytes)),
    );
    const whole = answers.filter((answer) => answer?.status === 204);
    for (const answer of answers) if (answer) expectStatus(ground, 'a PATCH', answer, [204, ...TEMPORARY]);
    if (whole.length > 1) ground.problems.push(`${whole.length} PATCHes brought all bytes`);
    await finish(ground, path);
    const ids = new Set<unknown>();
    for (const node of nodes) ids.add((await head(node + path)).headers['tidemark-file-id']);
    const [id] = ids;
    if (ids.size > 1 || typeof id !== 'string') ground.problems.push(`it became the files ${[...ids].join()}`);
    else await expectBytes(ground, id);
    await expectContents(ground, 1);
    return [name];
  },

  'PATCHes with other bytes': async (ground) => {
    const { nodes, name, bytes } = ground;
    const path = await begin(ground);
    const versions = nodes.map((_, number) => Buffer.from(bytes.map((byte) => byte ^ number)));
    const answers = await atOnce(
      ground,
      nodes.map((node, number) => () => patch(node + path, 0, versions[number] ?? bytes)),
    );
    for (const answer of answers) if (answer) expectStatus(ground, 'a PATCH', answer, [204, ...TEMPORARY]);
    const won = answers.flatMap((answer, number) => (answer?.status === 204 ? [number] : []));
    const [first] = won;
    if (won.length > 1) ground.problems.push(`the PATCHes ${won.join()} brought all bytes`);
    if (first === undefined) {
      // The first one was asked to stop by another, which then got 409, as the offset had moved.
      await removeUpload(ground, nodes[0], path);
      return [];
    }
    const md5 = createHash('md5')
      .update(versions[first] ?? '')
      .digest('hex');
    for (const node of nodes) await expectDigest(ground, node + path, md5);
    return [name];
  },

  'delete against the last PATCH': async (ground) => {
    const { nodes, bytes } = ground;
    const path = await begin(ground);
    const [sent] = await atOnce(ground, [
      () => patch(nodes[0] + path, 0, bytes),
      () => removeUpload(ground, nodes[1], path),
    ]);
    if (sent) expectStatus(ground, 'the PATCH', sent, [204, 404, 410, 423]);
    for (const node of nodes) {
      const { status } = await head(node + path);
      if (status !== 404 && status !== 410) ground.problems.push(`HEAD of what was deleted: ${status}`);
    }
    return [];
  },
};

/** Runs the rounds. @returns the exit code. */
export async function runRaces(words: readonly string[]): Promise<number> {
  const [rounds = 400, seed = Date.now() % 1_000_000, ...more] = words.map(Number);
  if (!(rounds >= 1 && rounds <= MOST_ROUNDS && seed >= 0) || more.length > 0) {
    process.stderr.write(`Usage: npm run chaos -- races [rounds 1..${MOST_ROUNDS}] [seed]\n`);
    return 2;
  }
  process.stdout.write(`chaos: ${rounds} rounds, seed ${seed}, races\n`);
  const cluster = await startCluster();
  let failed = 0;
  let round = 0;
  const tallies: Tallies = new Map();
  async function play(): Promise<void> {
    while (round < rounds) {
      const own = seed + round++;
      const problems = await playRace(cluster, own, tallies);
      if (problems.length > 0) failed++;
      for (const problem of problems) process.stdout.write(`PROBLEM in the round of seed ${own}: ${problem}\n`);
    }
  }
  let left: string[] = [];
  try {
    await Promise.all(Array.from({ length: LANES }, play));
    left = await cleanUp(cluster);
  } finally {
    await cluster.stop();
  }
  for (const [kind, outcomes] of tallies) {
    const counts = [...outcomes].toSorted(([, a], [, b]) => b - a).map(([outcome, count]) => `${count} x ${outcome}`);
    process.stdout.write(`${kind}: ${counts.join(', ')}\n`);
  }
  for (const what of left) process.stdout.write(`PROBLEM at the end: left over: ${what}\n`);
  process.stdout.write(
    `${rounds - failed} passed, ${failed} failed${left.length > 0 ? ', and something is left' : ''}\n`,
  );
  return failed > 0 || left.length > 0 ? 1 : 0;
}

/** Runs one round. @returns the problems. */
async function playRace(cluster: Cluster, seed: number, tallies: Tallies): Promise<string[]> {
  const dice = createRandom(seed);
  const kinds = Object.keys(RACES);
  const kind = kinds[seed % kinds.length] ?? '';
  const problems: string[] = [];
  const outcomes = tallies.get(kind) ?? new Map<string, number>();
  tallies.set(kind, outcomes);
  const first = dice.between(0, cluster.nodes.length - 1);
  const urls = cluster.nodes.map((_, number) => cluster.nodes[(first + number) % cluster.nodes.length]?.service.url);
  const size = dice.pick([dice.between(16, 2_000), dice.between(2_000, 200_000), dice.between(16, 10 * MIB)]);
  const bytes = makeBytes(size, seed);
  const [a = '', b = '', c = ''] = urls;
  const md5 = createHash('md5').update(bytes).digest('hex');
  const ground: Ground = { cluster, dice, nodes: [a, b, c], name: `race-${seed}`, bytes, md5, problems, outcomes };
  try {
    const expected = (await RACES[kind]?.(ground)) ?? [];
    const rows = await cluster.run<{ name: string }>(
      `select name from files where name = '${ground.name}' or name like '${ground.name}-%' order by name`,
    );
    const found = rows.map(({ name }) => name).join();
    if (found !== expected.toSorted().join()) problems.push(`files ${found} instead of ${expected.join()}`);
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return problems.map((problem) => `${kind}, ${size} bytes: ${problem}`);
}
