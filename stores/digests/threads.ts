/** The threads of the digest pool: how many there are, what is said to them, and what becomes of one that dies. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Blocks } from './blocks.ts';
import type { Reply, Request, WorkerSetup } from './messages.ts';

/** Beyond this, memory bandwidth and the main thread are what limits. */
const MOST_WORKERS = 4;

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

export interface Thread {
  readonly worker: Worker;
  lanes: number;
  /** By the number of the request that waits. */
  readonly pending: Map<number, Pending>;
  /** Blocks it has not given back yet. */
  readonly blocks: Set<number>;
  failure: Error | undefined;
  /** Requests of this tick, sent together: each message wakes a thread. */
  readonly outbox: Request[];
  isFlushing: boolean;
}

/** What a lane is told: how many of its blocks came back; 0 when its thread has died. */
type Freed = (blocks: number) => void;

export interface Threads {
  /** Gives a lane a thread, and a number by which it is known there. */
  enter(freed: Freed): { thread: Thread; lane: number };
  leave(thread: Thread, lane: number): void;
  /** Sends a request with all others of this tick. @throws why the thread has died. */
  send(thread: Thread, request: Request): void;
  close(): Promise<void>;
}

export function createThreads(blocks: Blocks): Threads {
  const lanes = new Map<number, { thread: Thread; freed: Freed }>();
  let threads: Thread[] = [];
  let started = 0;
  let lastLane = 0;
  let isClosed = false;

  function start(): Thread {
    const setup: WorkerSetup = { memory: blocks.memory, scratch: blocks.scratchOf(started++) };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
    const thread: Thread = {
      worker,
      lanes: 0,
      pending: new Map(),
      blocks: new Set(),
      failure: undefined,
      outbox: [],
      isFlushing: false,
    };
    worker.on('message', (replies: Reply[]) => {
      for (const reply of replies) receive(thread, reply);
    });
    worker.on('error', (error) => {
      fail(thread, error instanceof Error ? error : new Error(String(error)));
    });
    worker.on('exit', () => {
      fail(thread, new Error('a digest worker ended'));
    });
    // Idle threads must not keep the process alive.
    worker.unref();
    return thread;
  }

  function receive(thread: Thread, reply: Reply): void {
    if (reply.op === 'free') {
      for (const { block } of reply.pieces) {
        thread.blocks.delete(block);
        blocks.giveBack(block);
      }
      lanes.get(reply.lane)?.freed(reply.pieces.length);
      return;
    }
    const pending = thread.pending.get(reply.request);
    thread.pending.delete(reply.request);
    pending?.resolve(reply);
  }

  /** A thread that died takes its lanes with it; the next lane gets a new one. */
  function fail(thread: Thread, error: Error): void {
    if (thread.failure) return;
    thread.failure = error;
    threads = threads.filter((other) => other !== thread);
    for (const pending of thread.pending.values()) pending.reject(error);
    thread.pending.clear();
    for (const block of thread.blocks) blocks.giveBack(block);
    thread.blocks.clear();
    for (const lane of lanes.values()) {
      if (lane.thread === thread) lane.freed(0);
    }
  }

  function pick(): Thread {
    if (isClosed) throw new Error('the digest pool is closed');
    const most = Math.min(MOST_WORKERS, Math.max(1, availableParallelism() - 1));
    const idlest = threads.toSorted((a, b) => a.lanes - b.lanes)[0];
    if (idlest && (idlest.lanes === 0 || threads.length >= most)) return idlest;
    const thread = start();
    threads.push(thread);
    return thread;
  }

  function flush(thread: Thread): void {
    thread.isFlushing = false;
    thread.worker.postMessage(thread.outbox.splice(0));
  }

  return {
    enter: (freed) => {
      const thread = pick();
      const lane = ++lastLane;
      // While a digest is open its thread keeps the process alive: at start-up nothing else may.
      if (thread.lanes++ === 0) thread.worker.ref();
      lanes.set(lane, { thread, freed });
      return { thread, lane };
    },

    leave: (thread, lane) => {
      lanes.delete(lane);
      if (--thread.lanes === 0) thread.worker.unref();
    },

    send: (thread, request) => {
      if (thread.failure) throw thread.failure;
      thread.outbox.push(request);
      const { op } = request;
      // One that nobody waits for goes along with the next message.
      if (thread.isFlushing || op === 'open' || op === 'beginPart' || op === 'close') return;
      thread.isFlushing = true;
      // After the promises of this tick have run: what they ask for goes along.
      process.nextTick(flush, thread);
    },

    close: async () => {
      isClosed = true;
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
    },
  };
}
