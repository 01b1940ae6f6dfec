/** What happens to nodes: they are killed, start anew, freeze and wake; clocks jump, the power fails. */
import type { SimNode } from './node.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;
const JUMPS_MS = [-30 * HOUR_MS, -60_000, 20_000, 5 * HOUR_MS, 100 * HOUR_MS];
/** Beyond the life of any lease, or not. */
const FROZEN_MS = [100, 3_000, 15_000, 60_000];

/** How often a node freezes while a call that moves an upload is under way. */
const FREEZES_WHEN_IT_MATTERS = 0.05;

export interface Troubles {
  /** Before each step. */
  perhaps(): void;
  /** What is frozen wakes, what is dead starts. */
  end(): void;
}

export function createTroubles(world: World): Troubles {
  const { chance, scheduler, weather, nodes, wire } = world;

  function killOne(): void {
    const place = chance.below(nodes.length);
    const node = nodes[place];
    if (!node || node.isGone) return;
    scheduler.note(`${node.name} is killed`);
    world.kill(node);
    world.restart(place);
  }

  function freezeOne(): void {
    freeze(chance.pick(nodes));
  }

  function freeze(node: SimNode): void {
    if (node.isFrozen || node.isGone) return;
    scheduler.note(`${node.name} freezes`);
    node.isFrozen = true;
    wire.freeze(node);
    const forMs = chance.pick(FROZEN_MS);
    scheduler.setTimer(world.watchman, () => wake(node), forMs);
  }

  function wake(node: SimNode): void {
    if (!node.isFrozen) return;
    scheduler.note(`${node.name} wakes`);
    node.isFrozen = false;
    for (const upload of world.model.uploads.values()) upload.activity++;
  }

  function jump(): void {
    const place = chance.below(nodes.length);
    const byMs = chance.pick(JUMPS_MS);
    scheduler.note(`the clock of n${place + 1} jumps by ${byMs} ms`);
    world.jump(place, byMs);
  }

  function cutPower(): void {
    scheduler.note('the power fails');
    for (const node of nodes) world.kill(node);
    // What was under way when it went is gone.
    world.forgetGhosts();
    if (chance.happens(0.5)) world.catalog.forgetUndurable();
    world.disk.crash(() => chance.happens(0.5));
    world.checks.lookAfterPowerCut();
    world.catalog.markDurable();
    nodes.forEach((_, place) => world.restart(place));
  }

  const kinds = [
    ...(weather.kills ? [killOne] : []),
    ...(weather.freezes ? [freezeOne, freezeOne] : []),
    ...(weather.jumps ? [jump] : []),
    ...(weather.powerCuts ? [cutPower, cutPower] : []),
  ];

  if (weather.freezes && weather.trouble > 0) {
    world.onCrucial = (node) => {
      if (!world.isCalm && chance.happens(FREEZES_WHEN_IT_MATTERS)) freeze(node);
    };
  }

  return {
    perhaps: () => {
      if (kinds.length > 0 && chance.happens(weather.trouble)) chance.pick(kinds)();
    },
    end: () => nodes.forEach(wake),
  };
}
