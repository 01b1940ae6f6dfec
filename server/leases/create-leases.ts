/** Puts the leases together: lines of requests in this process, rows in the catalog, messages between nodes. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Asked, UploadRecord } from '../catalog/catalog.ts';
import type { Leases } from './leases.ts';
import { createLines } from './lines.ts';
import { createLeaseRows, isHeldElsewhere, type LeaseRowsOptions, needsRecovery } from './rows.ts';
import { createTaking } from './taking.ts';
import type { Wake } from './wake.ts';
import { createWords, LOOK_AGAIN_MS } from './words.ts';

/** What leases work with. */
export interface LeasesOptions extends LeaseRowsOptions {
  wake: Wake;
  surroundings: Surroundings;
}

/** Makes the leases of one node. */
export function createLeases(options: LeasesOptions): Leases {
  const { catalog, node, wake, surroundings } = options;
  const lines = createLines(surroundings);
  const words = createWords({ node, wake, surroundings, onAsked });
  const rows = createLeaseRows(options, { tell: (id) => words.tell(id), isWanted: (id) => lines.has(id) });
  let commit: (id: string) => Promise<void> = async () => undefined;

  /** Another node asks about an upload that, by its row, this node holds. */
  function onAsked(what: Asked, id: string): void {
    // The row names this node, and no request here has the lease: the answer to an earlier write was lost.
    if (!lines.has(id)) void rows.giveBackStale(id);
    else if (what === 'release') lines.ask(id);
    else void commit(id).finally(() => words.tell(id));
  }

  function keepOthersOut(id: string): (() => void) | undefined {
    // Such a write takes no longer than a request to stop would: nobody needs to ask.
    const turn = lines.enterIfEmpty(id, () => undefined);
    if (!turn) return undefined;
    turn.hold();
    return () => {
      turn.pass();
      words.tell(id);
    };
  }

  async function catchUpElsewhere(held: UploadRecord, mostMs: number): Promise<void> {
    const { id, epoch } = held;
    const untilMs = surroundings.elapsedMs() + mostMs;
    let isAnswered = await words.ask(held, 'commit', Math.min(mostMs, LOOK_AGAIN_MS));
    for (let isWritten = false; !isAnswered; isWritten = true) {
      const now = await catalog.findUpload(id);
      if (now?.epoch !== epoch || !(await isHeldElsewhere(options, now))) return;
      if (!isWritten) await rows.writeAsk(now, 'commit');
      const leftMs = untilMs - surroundings.elapsedMs();
      if (leftMs <= 0) return;
      isAnswered = await words.untilTold(id, Math.min(leftMs, LOOK_AGAIN_MS));
    }
  }

  return {
    node,
    ...createTaking({ lines, rows, words, surroundings }),
    keepOthersOut,
    isWanted: (id) => lines.has(id),
    isHeldElsewhere: (row) => isHeldElsewhere(options, row),
    needsRecovery: (row) => needsRecovery(options, row),
    catchUpElsewhere,
    untilTold: async (id) => void (await words.untilTold(id, LOOK_AGAIN_MS)),
    takeAsks: async () => {
      for (const { what, uploadId } of await catalog.takeAsks(node)) wake.ask(node, what, uploadId);
    },
    answer: (given) => {
      commit = given;
    },
    loseAll: () => lines.askAll(),
    giveBackLeft: () => rows.giveBackLeft(),
    close: async () => {
      lines.close();
      words.close();
    },
  };
}
