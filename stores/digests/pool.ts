/** The digest pool: worker threads that hash bytes handed over in shared memory. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type DigestAlgorithm, type DigestLane, type DigestPool, type DigestSet, SnapshotError } from './digests.ts';
import { SCRATCH_BYTES } from './md5.ts';
import { BLOCK_BYTES, type Piece, type Reply, type Request, type WorkerSetup } from './messages.ts';

/** Blocks shared by all lanes: 8 MiB whatever the number of uploads. */
const BLOCKS = 32;
/** Blocks one lane may have in flight, so that a fast upload leaves some to the others. */
const BLOCKS_PER_LANE = 12;
/** Beyond this, memory bandwidth and the main thread are what limits. */
const MOST_WORKERS = 4;
/** WebAssembly's unit of memory. */
const PAGE_BYTES = 64 * 1024;

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
  /** Requests of this tick, sent together: each message wakes a thread. */
  outbox: Request[];
  flushing: boolean;
}

/**
 * Starts a pool.
 *
 * @param algorithms - what new digests compute; MD5 is added if missing.
 */
export function createDigestPool(algorithms: readonly DigestAlgorithm[]): DigestPool {
  const defaults: readonly DigestAlgorithm[] = algorithms.includes('md5') ? algorithms : ['md5', ...algorithms];
  // After the blocks one page for the scratch of threads: of many more than live at once.
  const pages = (BLOCKS * BLOCK_BYTES) / PAGE_BYTES + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const free: number[] = Array.from({ length: BLOCKS }, (_, block) => block);
  const waiting: ((block: number) => void)[] = [];
  const lanes = new Map<number, { thread: Thread; freed: (blocks: number) => void }>();
  let threads: Thread[] = [];
  let started = 0;
  let lastLane = 0;
  let lastRequest = 0;
  let closed = false;

  function startThread(): Thread {
    const slot = started++ % (PAGE_BYTES / SCRATCH_BYTES);
    const setup: WorkerSetup = { memory, scratch: BLOCKS * BLOCK_BYTES + slot * SCRATCH_BYTES };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
    const thread: Thread = {
      worker,
      lanes: 0,
      pending: new Map(),
      blocks: new Set(),
      failure: undefined,
      outbox: [],
      flushing: false,
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
        giveBack(block);
      }
      lanes.get(reply.lane)?.freed(reply.pieces.length);
      return;
    }
    const pending = thread.pending.get(reply.request);
    thread.pending.delete(reply.request);
    pending?.resolve(reply);
  }

  /**
   * Sends requests with all others of this tick. One that nobody waits for goes along
   * with the next message.
   */
  function enqueue(thread: Thread, request: Request): void {
    if (thread.failure) throw thread.failure;
    thread.outbox.push(request);
    if (thread.flushing || request.op === 'open' || request.op === 'beginPart' || request.op === 'close') return;
    thread.flushing = true;
    // After the promises of this tick have run: what they ask for goes along.
    process.nextTick(() => {
      thread.flushing = false;
      thread.worker.postMessage(thread.outbox.splice(0));
    });
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
      if (lane.thread === thread) lane.freed(0);
    }
  }

  function giveBack(block: number): void {
    const next = waiting.shift();
    if (next) next(block);
    else free.push(block);
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
    // While a digest is open its thread keeps the process alive: at start-up nothing else may.
    if (thread.lanes++ === 0) thread.worker.ref();
    lanes.set(id, {
      thread,
      freed: (blocks) => {
        inFlight -= blocks;
        room?.();
      },
    });
    enqueue(thread, { op: 'open', lane: id, from: snapshot ?? wanted });

    function ask<Op extends 'snapshot' | 'digests' | 'partMd5'>(op: Op): Promise<Extract<Reply, { op: Op }>> {
      const request = ++lastRequest;
      return new Promise((resolve, reject) => {
        thread.pending.set(request, {
          resolve: (reply) => {
            if (reply.op === op) resolve(reply as Extract<Reply, { op: Op }>);
            else reject(new SnapshotError(reply.op === 'refused' ? reply.message : 'unexpected reply'));
          },
          reject,
        });
        enqueue(thread, { op, lane: id, request });
      });
    }

    async function update(chunks: readonly Uint8Array[], to: 'all' | 'part'): Promise<void> {
      // One message for as many blocks as there is room for: each one wakes a thread.
      let pieces: Piece[] = [];
      let piece: Piece | undefined;
      for (const chunk of chunks) {
        let at = 0;
        while (at < chunk.length) {
          if (!piece || piece.length === BLOCK_BYTES) {
            let block = inFlight + pieces.length < BLOCKS_PER_LANE ? free.pop() : undefined;
            if (block === undefined) {
              send(pieces, to);
              pieces = [];
              block = await waitForBlock();
            }
            piece = { block, length: 0 };
            pieces.push(piece);
          }
          const length = Math.min(chunk.length - at, BLOCK_BYTES - piece.length);
          bytes.set(chunk.subarray(at, at + length), piece.block * BLOCK_BYTES + piece.length);
          at += length;
          piece.length += length;
        }
      }
      send(pieces, to);
    }

    async function waitForBlock(): Promise<number> {
      while (inFlight >= BLOCKS_PER_LANE && !thread.failure) {
        await new Promise<void>((resolve) => (room = resolve));
      }
      return free.pop() ?? new Promise<number>((resolve) => waiting.push(resolve));
    }

    function send(pieces: Piece[], to: 'all' | 'part'): void {
      if (pieces.length === 0) return;
      if (thread.failure) {
        for (const { block } of pieces) giveBack(block);
        throw thread.failure;
      }
      for (const { block } of pieces) thread.blocks.add(block);
      inFlight += pieces.length;
      enqueue(thread, { op: 'update', lane: id, pieces, to });
    }

    return {
      update: (chunks) => update(chunks, 'all'),
      beginPart: () => enqueue(thread, { op: 'beginPart', lane: id }),
      updatePart: (chunks) => update(chunks, 'part'),
      partMd5: async () => (await ask('partMd5')).md5,
      snapshot: async () => (await ask('snapshot')).snapshot,
      digests: async (): Promise<DigestSet> => (await ask('digests')).digests,
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        lanes.delete(id);
        if (--thread.lanes === 0) thread.worker.unref();
        if (!thread.failure) enqueue(thread, { op: 'close', lane: id });
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
