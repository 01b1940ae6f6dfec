/** A simulation: a storm, then calm weather in which everything has to end well, then a long time. */
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createClient } from './clients.ts';
import { createActor } from './node.ts';
import { createSender } from './sender.ts';
import { createTroubles } from './troubles.ts';
import { createWorld, DAY_MS, UPLOAD_TTL_MS, type World } from './world.ts';

/** More than any seed needs to come to rest. */
const MOST_STEPS = 60_000;
const MOST_WAIT_MS = 3_600_000;
/** Until every job has had its turn. */
const JOBS_MS = 61_000;
/** Less than the clocks of two nodes may differ by. */
const HALF_HOUR_MS = 30 * 60_000;

export interface Outcome {
  seed: number;
  /** The first promise that was broken; undefined where all were kept. */
  problem: string | undefined;
  steps: number;
  /** Files that were published. */
  files: number;
  /** Of all that happened: the same for the same seed. Null where nobody is told. */
  trace: number | null;
}

export interface SimulateOptions {
  /** Told each line of what happens. */
  tell?: (line: string) => void;
  /** In tests of the simulation: plants a fault in the catalog. */
  tamper?: (catalog: Catalog) => Catalog;
}

export async function simulate(seed: number, { tell, tamper }: SimulateOptions = {}): Promise<Outcome> {
  let problem: string | undefined;
  let trace = 0;
  const world = createWorld(seed, {
    tell:
      tell &&
      ((line) => {
        for (let i = 0; i < line.length; i++) trace = (Math.imul(trace, 31) + line.charCodeAt(i)) | 0;
        tell(line);
      }),
    fail: (found) => (problem ??= found),
    tamper: tamper ?? ((catalog) => catalog),
  });
  try {
    await live(world, () => problem !== undefined);
  } catch (error) {
    problem ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  for (const node of world.nodes) world.kill(node);
  return {
    seed,
    problem,
    steps: world.scheduler.steps,
    files: world.model.seenFiles.size,
    trace: tell ? trace >>> 0 : null,
  };
}

/** A storm, the calm after it, and a long time. */
async function live(world: World, isBroken: () => boolean): Promise<void> {
  const { scheduler, weather, wire, network, checks, nodes } = world;
  const troubles = createTroubles(world);

  async function step(): Promise<boolean> {
    if (isBroken()) throw new Error('broken');
    if (scheduler.steps > MOST_STEPS) throw new Error('it does not come to rest');
    const hasHappened = await scheduler.step();
    checks.look();
    if (isBroken()) throw new Error('broken');
    return hasHappened;
  }

  async function until(what: string, isDone: () => boolean): Promise<void> {
    const lastMs = scheduler.nowMs + MOST_WAIT_MS;
    while (!isDone()) {
      if (!(await step()) || scheduler.nowMs > lastMs) throw new Error(`${what}: not within an hour`);
    }
  }

  async function rest(): Promise<void> {
    while (scheduler.isBusy) await step();
  }

  for (let place = 0; place < weather.nodes; place++) world.restart(place);
  await until('the start of all nodes', () => nodes.every(({ isReady }) => isReady));
  Object.assign(wire.losses, { failing: weather.failing, unanswered: weather.unanswered });
  network.losing = weather.losing;

  const clients = Array.from({ length: weather.clients }, (_, number) => createClient(world, `c${number + 1}`));
  let running = clients.length;
  for (const client of clients) {
    scheduler.add('begins', client, () => void client.run().then(() => running--));
  }
  const calmAt = scheduler.steps + weather.stormSteps;
  while (running > 0 && scheduler.steps < calmAt) {
    troubles.perhaps();
    if (!(await step())) throw new Error('all wait for ever');
  }

  scheduler.note('calm');
  world.isCalm = true;
  Object.assign(wire.losses, { failing: 0, unanswered: 0 });
  network.losing = 0;
  troubles.end();
  await until('the nodes that were killed', () => nodes.every(({ isReady }) => isReady));
  await until('clients that are at it', () => running === 0);
  await finishUploads(world, until);

  async function restartAll(): Promise<void> {
    nodes.forEach((node, place) => {
      world.kill(node);
      world.restart(place);
    });
    await until('another start', () => nodes.every(({ isReady }) => isReady));
    // The first rounds of all jobs.
    await rest();
  }
  await letExpire(world, until, restartAll);

  // A round of jobs, another start, and the end of every life.
  for (const passMs of [JOBS_MS, UPLOAD_TTL_MS, 8 * DAY_MS, 2 * DAY_MS, JOBS_MS]) {
    await rest();
    await restartAll();
    scheduler.passTime(passMs);
    await step();
    await rest();
  }
  checks.lookAtEnd();
  if (isBroken()) throw new Error('broken');
}

/**
 * An upload that nobody sends lives as long as it was given, by whichever node it was begun and whatever the clocks of
 * the nodes say. One node's own clock may be put right meanwhile: then it may wait longer (docs/decisions/0024).
 */
async function letExpire(
  world: World,
  until: (what: string, isDone: () => boolean) => Promise<void>,
  restartAll: () => Promise<void>,
): Promise<void> {
  const { scheduler, weather, model, nodes } = world;
  const actor = createActor('waiter');
  const owner = 'carl';
  const declaration = { size: 10, md5: null, sha1: null, sha256: null, filename: 'a', filetype: null, metadata: '' };
  const ids = nodes.map((_, place) => `waiting-${place}`);
  let begun = 0;
  nodes.forEach((node, place) => {
    const begin = () => node.uploads.begin({ id: ids[place] ?? '', owner, declaration });
    scheduler.add(`begins ${ids[place]}`, actor, () => void begin().then(() => begun++));
  });
  await until('uploads that wait', () => begun === ids.length);

  scheduler.passTime(UPLOAD_TTL_MS - HALF_HOUR_MS);
  await restartAll();
  let seen = 0;
  for (const node of nodes) {
    for (const id of ids) {
      const look = node.uploads.current(id, owner).catch((error: unknown) => {
        world.fail(`upload ${id} has time left, and ${node.name} says: ${String(error)}`);
      });
      void look.then(() => seen++);
    }
  }
  await until('looks at uploads that wait', () => seen === ids.length * nodes.length);

  scheduler.passTime(HALF_HOUR_MS + JOBS_MS);
  await restartAll();
  if (weather.place === 'folder') return;
  for (const id of ids)
    if (model.uploads.get(id)?.state === 'receiving') world.fail(`upload ${id} lives longer than it was given`);
}

/** Every unfinished upload can be finished, whatever became of it. */
async function finishUploads(
  world: World,
  until: (what: string, isDone: () => boolean) => Promise<void>,
): Promise<void> {
  const { scheduler, model } = world;
  const actor = createActor('finisher');
  const owners = new Map(
    world.catalog
      .rows<{ id: string; owner: string }>('SELECT id, owner FROM uploads')
      .map(({ id, owner }) => [id, owner]),
  );

  async function finish(id: string, owner: string): Promise<void> {
    const sender = createSender(world, actor);
    const { plan } = model.uploads.get(id) ?? {};
    for (let attempt = 0; plan && attempt < 12; attempt++) {
      const seen = await sender.look(id, owner);
      if (seen.kind === 'refused' && seen.code !== 'upload_locked' && seen.code !== 'upload_taken_over') return;
      if (seen.kind !== 'ok') continue;
      if (seen.value.fileId !== null) return;
      const sent = await sender.sendFrom(id, owner, plan, seen.value.offset);
      if (sent?.fileId) return;
    }
    if (model.uploads.get(id)?.state === 'receiving') world.fail(`upload ${id} cannot be finished`);
  }

  for (const { id, state } of model.uploads.values()) {
    const owner = owners.get(id);
    if (state !== 'receiving' || owner === undefined) continue;
    let isDone = false;
    scheduler.add(`finishes ${id}`, actor, () => void finish(id, owner).then(() => (isDone = true)));
    await until(`the end of ${id}`, () => isDone);
  }
}
