/** The digest pool: worker threads that hash bytes handed over in shared memory. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type DigestAlgorithm, type DigestLane, type DigestPool, type DigestSet, SnapshotError } from './digests.ts';
import { BLOCK_BYTES, type Reply, type Request, type WorkerSetup } from './messages.ts';

/** Blocks shared by all lanes: 16 MiB whatever the number of uploads. */
const BLOCKS = 64;
/** Blocks one lane may have in flight, so that a fast upload leaves some to the others. */
const BLOCKS_PER_LANE = 4;
/** Beyond this, memory bandwidth and the main thread are what limits. */
const MOST_WORKERS = 4;

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

interface Thread {
  worker: Worker;
  lanes: number;
  pending: Map<number, Pending>;
  /** Blocks it has not given back yet. */
  blocks: Set<number>;
  failure: Error | undefined;
}

/**
 * Starts a pool.
 *
 * @param algorithms - what new digests compute; MD5 is added if missing.
 */
export function createDigestPool(algorithms: readonly DigestAlgorithm[]): DigestPool {
  const defaults: readonly DigestAlgorithm[] = algorithms.includes('md5') ? algorithms : ['md5', ...algorithms];
  const setup: WorkerSetup = { blocks: new SharedArrayBuffer(BLOCKS * BLOCK_BYTES) };
  const memory = new Uint8Array(setup.blocks);
  const free: number[] = Array.from({ length: BLOCKS }, (_, block) => block);
  const waiting: ((block: number) => void)[] = [];
  const lanes = new Map<number, { thread: Thread; freed: () => void }>();
  let threads: Thread[] = [];
  let lastLane = 0;
  let lastRequest = 0;
  let closed = false;

  function startThread(): Thread {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
    const thread: Thread = { worker, lanes: 0, pending: new Map(), blocks: new Set(), failure: undefined };
    worker.on('message', (reply: Reply) => {
      receive(thread, reply);
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
      thread.blocks.delete(reply.block);
      giveBack(reply.block);
      lanes.get(reply.lane)?.freed();
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
    for (const block of thread.blocks) giveBack(block);
    thread.blocks.clear();
    for (const lane of lanes.values()) {
      if (lane.thread === thread) lane.freed();
    }
  }

  function giveBack(block: number): void {
    const next = waiting.shift();
    if (next) next(block);
    else free.push(block);
  }

  function takeBlock(): number | Promise<number> {
    const block = free.pop();
    return block ?? new Promise<number>((resolve) => waiting.push(resolve));
  }

  function pickThread(): Thread {
    const most = Math.min(MOST_WORKERS, Math.max(1, availableParallelism() - 1));
    const idlest = threads.toSorted((a, b) => a.lanes - b.lanes)[0];
    if (idlest && (idlest.lanes === 0 || threads.length >= most)) return idlest;
    const thread = startThread();
    threads.push(thread);
    return thread;
  }

  function open(snapshot: Uint8Array | null, wanted: readonly DigestAlgorithm[] = defaults): DigestLane {
    if (closed) throw new Error('the digest pool is closed');
    const thread = pickThread();
    const id = ++lastLane;
    let inFlight = 0;
    let isOpen = true;
    let room: (() => void) | undefined;
    thread.lanes++;
    lanes.set(id, {
      thread,
      freed: () => {
        inFlight--;
        room?.();
      },
    });
    post({ op: 'open', lane: id, from: snapshot ?? wanted });

    function post(request: Request): void {
      if (thread.failure) throw thread.failure;
      thread.worker.postMessage(request);
    }

    function ask<Op extends 'snapshot' | 'digests'>(op: Op): Promise<Extract<Reply, { op: Op }>> {
      const request = ++lastRequest;
      return new Promise((resolve, reject) => {
        thread.pending.set(request, {
          resolve: (reply) => {
            if (reply.op === op) resolve(reply as Extract<Reply, { op: Op }>);
            else reject(new SnapshotError(reply.op === 'refused' ? reply.message : 'unexpected reply'));
          },
          reject,
        });
        post({ op, lane: id, request });
      });
    }

    async function update(chunks: readonly Uint8Array[]): Promise<void> {
      let block = -1;
      let filled = 0;
      for (const chunk of chunks) {
        let at = 0;
        while (at < chunk.length) {
          if (block < 0) {
            while (inFlight >= BLOCKS_PER_LANE && !thread.failure) {
              await new Promise<void>((resolve) => (room = resolve));
            }
            const taken = takeBlock();
            block = typeof taken === 'number' ? taken : await taken;
            filled = 0;
          }
          const length = Math.min(chunk.length - at, BLOCK_BYTES - filled);
          memory.set(chunk.subarray(at, at + length), block * BLOCK_BYTES + filled);
          at += length;
          filled += length;
          if (filled === BLOCK_BYTES) {
            send(block, filled);
            block = -1;
          }
        }
      }
      if (block >= 0) send(block, filled);
    }

    function send(block: number, length: number): void {
      if (thread.failure) {
        giveBack(block);
        throw thread.failure;
      }
      thread.blocks.add(block);
      inFlight++;
      post({ op: 'update', lane: id, block, length });
    }

    return {
      update,
      snapshot: async () => (await ask('snapshot')).snapshot,
      digests: async (): Promise<DigestSet> => (await ask('digests')).digests,
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        lanes.delete(id);
        thread.lanes--;
        if (!thread.failure) post({ op: 'close', lane: id });
      },
    };
  }

  return {
    algorithms: defaults,
    open,
    close: async () => {
      closed = true;
      await Promise.all(threads.map((thread) => thread.worker.terminate()));
    },
  };
}
