/** A node's heartbeat: others may take its leases when it is not seen for a while. */
import type { Logger } from 'pino';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog } from '../catalog/catalog.ts';

const BEAT_EVERY_MS = 2_000;

export interface HeartbeatOptions {
  catalog: Pick<Catalog, 'joinNode' | 'beatNode' | 'isShared'>;
  node: string;
  surroundings: Surroundings;
  log: Logger;
  stopping: AbortSignal;
  /** With each beat, for what changes more often than it is committed. */
  onBeat: () => Promise<void>;
  /** The node was taken for dead: its writers are to stop. */
  onLate: () => void;
}

/** Beats until the service stops. A node that is alone with its catalog needs no heartbeat. The node has joined. */
export async function keepAlive(options: HeartbeatOptions): Promise<void> {
  const { catalog, node, surroundings, log, stopping } = options;
  if (!catalog.isShared) return;
  while (!stopping.aborted) {
    try {
      if (!(await catalog.beatNode(node))) {
        log.warn({ node }, 'this node was taken for dead: its writers stop');
        options.onLate();
        await catalog.joinNode(node);
      }
      await options.onBeat();
    } catch (error) {
      if (!stopping.aborted) log.warn({ node, err: error }, 'the heartbeat failed');
    }
    await surroundings.wait(BEAT_EVERY_MS, { signal: stopping, ref: false }).catch(() => undefined);
  }
}
