/** The threads of the digest pool: starts them, and chooses one for each lane. */
import { availableParallelism } from 'node:os';
import type { Blocks } from './blocks.ts';
import { Thread } from './thread.ts';

/** With more, memory bandwidth and the main thread are the limit. */
const MOST_WORKERS = 4;

export interface Threads {
  /** Chooses the thread with the fewest lanes; starts a new one where none is idle and more are allowed. */
  pick(): Thread;
  close(): Promise<void>;
}

/** Manages the threads; the first starts with the first lane. @param simd - whether they may use SIMD. */
export function createThreads(blocks: Blocks, simd: boolean): Threads {
  let threads: Thread[] = [];
  let started = 0;
  let isClosed = false;

  function start(): Thread {
    const setup = { memory: blocks.memory, scratch: blocks.scratchOf(started++), simd };
    const thread = new Thread(setup, blocks, (dead) => {
      threads = threads.filter((other) => other !== dead);
    });
    threads.push(thread);
    return thread;
  }

  return {
    pick: () => {
      if (isClosed) throw new Error('the digest pool is closed');
      const most = Math.min(MOST_WORKERS, Math.max(1, availableParallelism() - 1));
      const idlest = threads.toSorted((a, b) => a.lanes - b.lanes)[0];
      return idlest && (idlest.lanes === 0 || threads.length >= most) ? idlest : start();
    },

    close: async () => {
      isClosed = true;
      await Promise.all(threads.map((thread) => thread.end()));
    },
  };
}
