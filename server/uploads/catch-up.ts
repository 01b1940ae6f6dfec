/**
 * Catching up: the next request has to resume at the offset that the service reports. So before it reports one, the
 * writer commits all bytes that have arrived, also where its sender may have vanished; then the writer continues.
 */
import type { Logger } from 'pino';
import type { Flush } from '../../stores/store.ts';
import type { Surroundings, Timer } from '../../stores/surroundings.ts';

/**
 * After so many turns of the event loop without a new connection, all requests that arrived before are known: a turn
 * accepts one connection from the kernel's queue, the next turn reads its bytes.
 */
const TURNS = 3;
/** Length of the kernel's queue (Node's default for `listen`): connections accepted after so many others came after the call. */
const MOST_QUEUED = 511;

/** The request of this process that holds an upload's lease. */
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
 * Prepares catching up in this process.
 *
 * @param mostMs - `catchUp` returns after this time, also where the writer has not committed yet: the caller then
 *   reports the committed offset. The next request would not wait longer for the lease either.
 * @param writerOf - finds the request that writes to an upload now.
 */
export function createCatchUp(
  { log, surroundings }: { log: Logger; surroundings: Surroundings },
  mostMs: number,
  writerOf: (id: string) => Holder | undefined,
): CatchUp {
  /** Requests that have arrived and neither write yet nor have ended, by upload. */
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

  /** Waits until all requests that arrived before the call are in `coming`. */
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
    // The append is ending. Its end commits, and may publish.
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

/** Runs one flush at a time. Calls during a run share the next run, as more bytes may have arrived since this one began. */
export function shared(flush: Flush): Flush {
  let running: ReturnType<Flush> | undefined;
  let next: ReturnType<Flush> | undefined;

  function run(): ReturnType<Flush> {
    next = undefined;
    // `next`, where a call during this run has set it, starts now.
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
