/** Leases over the catalog's rows, put together: lines in this process, rows in the catalog, words between nodes. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Leases } from './leases.ts';
import { createLines } from './lines.ts';
import { createLeaseRows, isHeldElsewhere, type LeaseRowsOptions, needsRecovery } from './rows.ts';
import { createTaking } from './taking.ts';
import type { Asked, Wake } from './wake.ts';
import { createWords } from './words.ts';

export interface LeasesOptions extends LeaseRowsOptions {
  wake: Wake;
  surroundings: Surroundings;
}

/** The leases of one node. */
export function createLeases(options: LeasesOptions): Leases {
  const { node, wake, surroundings } = options;
  const lines = createLines(surroundings);
  const words = createWords({ node, wake, surroundings, onAsked });
  const rows = createLeaseRows(options, { tell: (id) => words.tell(id), isWanted: (id) => lines.has(id) });
  let commit: (id: string) => Promise<void> = async () => undefined;

  /** Another node asks about an upload that it believes to be held here. */
  function onAsked(what: Asked, id: string): void {
    // The row names this node, and no request here has the lease: the answer to an earlier write was lost.
    if (!lines.has(id)) void rows.giveBackStale(id);
    else if (what === 'release') lines.ask(id);
    else void commit(id).finally(() => words.tell(id));
  }

  return {
    node,
    ...createTaking({ lines, rows, words, surroundings }),
    isWanted: (id) => lines.has(id),
    isHeldElsewhere: (row) => isHeldElsewhere(options, row),
    needsRecovery: (row) => needsRecovery(options, row),
    catchUpElsewhere: ({ id, holder }, mostMs) => words.ask(holder, 'commit', id, mostMs),
    untilTold: (id) => words.untilTold(id),
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
