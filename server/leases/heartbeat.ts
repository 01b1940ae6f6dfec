/** A node's heartbeat: others may take its leases when it is not seen for a while. */
import type { Logger } from 'pino';
import type { Surroundings } from '../../stores/surroundings.ts';
import { type Catalog, type CatalogError, NODE_DEAD_AFTER_MS } from '../catalog/catalog.ts';

const BEAT_EVERY_MS = 2_000;
/** How often the node checks whether its last beat is too long ago. */
const WATCH_EVERY_MS = 1_000;

/** What the heartbeat needs, and what it calls. */
export interface HeartbeatOptions {
  catalog: Pick<Catalog, 'beatNode' | 'isShared'>;
  node: string;
  /** Joins again, after the node counted as dead. @returns the reason where it may not join any more. */
  rejoin: () => Promise<CatalogError | undefined>;
  /** The node may not join any more: the process is to exit. */
  onRefused: (error: CatalogError) => void;
  surroundings: Surroundings;
  log: Logger;
  stopping: AbortSignal;
  /** Called as often as the node beats, for what it writes regularly. No beat waits for it. */
  onBeat: () => Promise<void>;
  /** Other nodes may count this one as dead: its writers are to stop. */
  onLate: () => void;
}

/** Beats until the service stops, for a node that has joined. A node of a catalog for one process needs no heartbeat. */
export async function keepAlive(options: HeartbeatOptions): Promise<void> {
  if (!options.catalog.isShared) return;
  const { surroundings, log, node, onLate } = options;
  /** When the last beat that the database confirmed was sent, and whether `onLate` was called since. */
  const heart = { beatMs: surroundings.elapsedMs(), isLate: false };
  await Promise.all([beat(options, heart, late), watch(options, heart, late), note(options, heart)]);

  function late(): void {
    if (heart.isLate) return;
    heart.isLate = true;
    log.warn({ node }, 'this node was not heard of for so long that others may take its leases: its writers stop');
    onLate();
  }
}

interface Heart {
  beatMs: number;
  isLate: boolean;
}

async function beat(options: HeartbeatOptions, heart: Heart, late: () => void): Promise<void> {
  const { catalog, node, rejoin, surroundings, log, stopping } = options;
  while (!stopping.aborted) {
    try {
      const beatMs = surroundings.elapsedMs();
      if (!(await catalog.beatNode(node))) {
        late();
        const refusal = await rejoin();
        if (refusal) {
          options.onRefused(refusal);
          return;
        }
      }
      heart.beatMs = beatMs;
      heart.isLate = false;
    } catch (error) {
      if (!stopping.aborted) log.warn({ node, err: error }, 'the heartbeat failed');
    }
    await pause(options, BEAT_EVERY_MS);
  }
}

/** Runs beside the beats: `onBeat` may wait for rows that are locked, and a node whose beat waited for it would be late. */
async function note(options: HeartbeatOptions, heart: Heart): Promise<void> {
  const { node, log, stopping } = options;
  while (!stopping.aborted) {
    await pause(options, BEAT_EVERY_MS);
    if (stopping.aborted || heart.isLate) continue;
    await options.onBeat().catch((error: unknown) => {
      if (!stopping.aborted) log.warn({ node, err: error }, 'what has come could not be noted');
    });
  }
}

/**
 * Notices that this process was frozen, or that the database does not answer, before an answer of the database can say so:
 * in a process that was frozen its timer is due as soon as the process runs again.
 */
async function watch(options: HeartbeatOptions, heart: Heart, late: () => void): Promise<void> {
  const { surroundings, stopping } = options;
  while (!stopping.aborted) {
    await pause(options, WATCH_EVERY_MS);
    if (!stopping.aborted && surroundings.elapsedMs() - heart.beatMs >= NODE_DEAD_AFTER_MS) late();
  }
}

async function pause({ surroundings, stopping }: HeartbeatOptions, forMs: number): Promise<void> {
  await surroundings.wait(forMs, { signal: stopping, ref: false }).catch(() => undefined);
}
