/**
 * Catching up: an offset that is told is where the next request must resume. So the writer commits first all that has
 * arrived by then, though its sender may be gone without a word; it keeps writing all the same.
 */
import type { Logger } from 'pino';
import type { Flush } from '../../stores/store.ts';
import type { Surroundings, Timer } from '../../stores/surroundings.ts';

/**
 * Turns of the event loop in which no connection came, after which all requests that had come before are known: each
 * takes one connection from the kernel's queue, the next one reads what that brought.
 */
const TURNS = 3;
/** What the kernel's queue holds (Node's default for `listen`): a connection that is taken from it later came later. */
const MOST_QUEUED = 511;

/** The holder of an upload's lease. */
interface Holder {
  readonly released: Promise<void>;
  readonly flush: Flush | undefined;
}

export interface CatchUp {
  /** See Writers. */
  markConnection(): void;
  markComing(id: string): () => void;
  catchUp(id: string): Promise<void>;
}

/**
 * @param mostMs - when the writer has not committed by then, the committed offset is told. The next request would
 *   wait for its lease no longer either.
 * @param writerOf - who writes to an upload now.
 */
export function createCatchUp(
  { log, surroundings }: { log: Logger; surroundings: Surroundings },
  mostMs: number,
  writerOf: (id: string) => Holder | undefined,
): CatchUp {
  /** Requests that have come and neither write yet nor have ended, by upload. */
  const coming = new Map<string, Set<Promise<void>>>();
  /** Connections so far. */
  let connections = 0;

  function markComing(id: string): () => void {
    let tell: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (tell = resolve));
    const ofUpload = coming.get(id) ?? new Set();
    coming.set(id, ofUpload.add(begun));
    return () => {
      ofUpload.delete(begun);
      if (ofUpload.size === 0 && coming.get(id) === ofUpload) coming.delete(id);
      tell();
    };
  }

  async function untilKnown(): Promise<void> {
    const most = connections + MOST_QUEUED;
    for (let quiet = 0; quiet < TURNS;) {
      const before = connections;
      await surroundings.turn();
      quiet = connections === before || connections > most ? quiet + 1 : 0;
    }
  }

  async function catchUp(id: string): Promise<void> {
    await untilKnown();
    const before = [...(coming.get(id) ?? [])];
    if (before.length === 0 && !writerOf(id)?.flush) return;
    let timer: Timer | undefined;
    const late = new Promise<'late'>((resolve) => (timer = surroundings.setTimeout(() => resolve('late'), mostMs)));
    const outcome = await Promise.race([late, committed(id, before)]);
    surroundings.clearTimeout(timer);
    if (outcome === 'late') log.info({ uploadId: id }, 'bytes that have come could not be committed in time');
  }

  async function committed(id: string, before: readonly Promise<void>[]): Promise<void> {
    await Promise.all(before);
    const writer = writerOf(id);
    if (!writer?.flush) return;
    const outcome = await Promise.race([writer.flush(), writer.released]);
    // Its end commits, and may publish.
    if (outcome === 'ending') await writer.released;
  }

  return {
    markConnection: () => {
      connections++;
    },
    markComing,
    catchUp,
  };
}

/** One at a time, and all who come while it runs share the next one: more may have come since it began. */
export function shared(flush: Flush): Flush {
  let running: ReturnType<Flush> | undefined;
  let next: ReturnType<Flush> | undefined;

  function run(): ReturnType<Flush> {
    next = undefined;
    // Where another one waits for this, it is the one that runs from then on.
    running = flush().finally(() => {
      running = next;
    });
    return running;
  }

  return () => {
    if (!running) return run();
    return (next ??= running.then(run, run));
  };
}
