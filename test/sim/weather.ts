/** What a seed makes of the world: how many nodes and clients, how much goes wrong, and in which ways. */
import type { DigestAlgorithm } from '../../stores/digests/digests.ts';
import type { Chance } from './chance.ts';

const HOUR_MS = 3_600_000;

export interface Weather {
  /** A bucket that nodes share, or the folder of one node: a power cut takes from it what was not synced. */
  place: 'bucket' | 'folder';
  nodes: number;
  clients: number;
  /** Steps in which things go wrong. */
  stormSteps: number;
  paceMs: number;
  /** How often a call to the catalog or the disk fails, or is performed and not answered. */
  failing: number;
  unanswered: number;
  /** How often a client does not hear its answer. */
  losing: number;
  /** How often, in each step, something happens to a node. */
  trouble: number;
  kills: boolean;
  freezes: boolean;
  jumps: boolean;
  /** How far the clock of each node is ahead of the time of those that share the catalog. */
  aheadMs: readonly number[];
  /** Catalog and disk lose what was not made durable. */
  powerCuts: boolean;
  commitEveryBytes: number;
  digests: readonly DigestAlgorithm[];
  /** Senders that have other bytes than those that they declared. */
  mixing: number;
}

export function makeWeather(chance: Chance): Weather {
  const place = chance.happens(0.25) ? 'folder' : 'bucket';
  const nodes = place === 'folder' ? 1 : chance.pick([1, 2, 2, 3]);
  const aheadMs = Array.from({ length: nodes }, () => (place === 'folder' ? 0 : chance.pick([0, -HOUR_MS, HOUR_MS])));
  const isCalm = chance.happens(0.2);
  const rate = (most: number): number => (isCalm ? 0 : chance.pick([0, most / 4, most]));
  return {
    place,
    nodes,
    aheadMs,
    clients: 1 + chance.below(4),
    stormSteps: 300 + chance.below(500),
    paceMs: chance.pick([1, 10, 100]),
    failing: rate(0.03),
    unanswered: rate(0.02),
    losing: rate(0.2),
    trouble: isCalm ? 0 : chance.pick([0.002, 0.005, 0.02]),
    kills: chance.happens(0.7),
    freezes: chance.happens(0.5),
    jumps: chance.happens(0.3),
    powerCuts: place === 'folder' && chance.happens(0.7),
    commitEveryBytes: chance.pick([40, 100, 1000]),
    digests: chance.happens(0.8) ? ['md5'] : ['md5', 'sha256'],
    mixing: chance.pick([0, 0.1, 0.3]),
  };
}
