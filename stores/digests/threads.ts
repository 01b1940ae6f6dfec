/** The threads of the digest pool: starts them, and chooses one for each lane. */
import { availableParallelism } from 'node:os';
import type { Blocks } from './blocks.ts';
import type { ProofSetup } from './hashing.ts';
import { Thread } from './thread.ts';

/** With more, memory bandwidth and the main thread are the limit. */
const MOST_WORKERS = 4;

export interface Threads {
  /**
   * Chooses the thread with the most lanes of those that have room for another. Where none has, it starts a new one, or, once
   * there are as many as allowed, chooses the one with the fewest.
   */
  pick(): Thread;
  close(): Promise<void>;
}

/** How the threads are used. */
export interface ThreadOptions {
  /** Whether they may use SIMD. */
  simd: boolean;
  /** Null, the default: they compute no proofs. */
  proof?: ProofSetup | null;
  /** How many lanes a thread gets before another one is started: side by side they cost less. */
  lanesPerThread: number;
  /** By default, as many as there are processors beside that of the main thread. */
  mostThreads?: number;
}

/** Manages the threads; the first starts with the first lane. */
export function createThreads(blocks: Blocks, options: ThreadOptions): Threads {
  const { simd, proof = null, lanesPerThread } = options;
  let threads: Thread[] = [];
  let started = 0;
  let isClosed = false;
  // Blocks that are held become free only when they are sent.
  blocks.whenShort(() => {
    for (const thread of threads) thread.sendNow();
  });

  function start(): Thread {
    const setup = { memory: blocks.memory, scratch: blocks.scratchOf(started++), simd, proof };
    const thread = new Thread(setup, blocks, (dead) => {
      threads = threads.filter((other) => other !== dead);
    });
    threads.push(thread);
    return thread;
  }

  return {
    pick: () => {
      if (isClosed) throw new Error('the digest pool is closed');
      const most = options.mostThreads ?? Math.min(MOST_WORKERS, Math.max(1, availableParallelism() - 1));
      const byLanes = threads.toSorted((a, b) => a.lanes - b.lanes);
      const fullest = byLanes.findLast(({ lanes }) => lanes < lanesPerThread);
      return fullest ?? (threads.length < most ? undefined : byLanes[0]) ?? start();
    },

    close: async () => {
      isClosed = true;
      await Promise.all(threads.map((thread) => thread.end()));
    },
  };
}
