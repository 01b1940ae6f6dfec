/** A worker thread of the digest pool: what is said to it, what it was given, and what becomes of that when it dies. */
import { Worker } from 'node:worker_threads';
import type { Blocks } from './blocks.ts';
import { SnapshotError } from './digests.ts';
import type { Reply, Request, WorkerSetup } from './messages.ts';

/** What a lane is told: how many of its blocks came back; 0 when its thread has died. */
type Freed = (blocks: number) => void;

type Question = Exclude<Reply['op'], 'free' | 'refused'>;

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

export class Thread {
  readonly #worker: Worker;
  readonly #blocks: Blocks;
  readonly #onDeath: (thread: Thread) => void;
  readonly #lanes = new Map<number, Freed>();
  /** By the number of the request that waits. */
  readonly #pending = new Map<number, Pending>();
  /** Blocks it has not given back yet. */
  readonly #given = new Set<number>();
  /** Requests of this tick, sent together: each message wakes the thread. */
  readonly #outbox: Request[] = [];
  #isFlushing = false;
  #failure: Error | undefined;
  #lastLane = 0;
  #lastRequest = 0;

  /** @param onDeath - told once, before the lanes are. */
  constructor(setup: WorkerSetup, blocks: Blocks, onDeath: (thread: Thread) => void) {
    this.#blocks = blocks;
    this.#onDeath = onDeath;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
    this.#worker.on('message', (replies: Reply[]) => {
      for (const reply of replies) this.#receive(reply);
    });
    this.#worker.on('error', (error) => {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    });
    this.#worker.on('exit', () => {
      this.#fail(new Error('a digest worker ended'));
    });
    // Idle threads must not keep the process alive.
    this.#worker.unref();
  }

  /** How many lanes it has. */
  get lanes(): number {
    return this.#lanes.size;
  }

  /** Why it has died. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Begins a lane. @returns the number by which it is known here. */
  enter(freed: Freed): number {
    // While a digest is open its thread keeps the process alive: at start-up nothing else may.
    if (this.#lanes.size === 0) this.#worker.ref();
    const lane = ++this.#lastLane;
    this.#lanes.set(lane, freed);
    return lane;
  }

  leave(lane: number): void {
    this.#lanes.delete(lane);
    if (this.#lanes.size === 0) this.#worker.unref();
  }

  /** Sends a request with all others of this tick. @throws why the thread has died. */
  send(request: Request): void {
    if (this.#failure) throw this.#failure;
    this.#outbox.push(request);
    const { op } = request;
    // One that nobody waits for goes along with the next message.
    if (this.#isFlushing || op === 'open' || op === 'beginPart' || op === 'close') return;
    this.#isFlushing = true;
    // After the promises of this tick have run: what they ask for goes along.
    process.nextTick(() => this.#flush());
  }

  /** Sends bytes to be hashed. Their blocks come back, also when the thread dies. @throws why it has died. */
  hand(bytes: Extract<Request, { op: 'update' }>): void {
    if (this.#failure) for (const { block } of bytes.pieces) this.#blocks.giveBack(block);
    else for (const { block } of bytes.pieces) this.#given.add(block);
    this.send(bytes);
  }

  /** @throws SnapshotError where the digest cannot answer; why the thread has died. */
  ask<Op extends Question>(op: Op, lane: number): Promise<Extract<Reply, { op: Op }>> {
    const request = ++this.#lastRequest;
    return new Promise((resolve, reject) => {
      this.send({ op, lane, request });
      this.#pending.set(request, {
        resolve: (reply) => {
          if (reply.op === op) resolve(reply as Extract<Reply, { op: Op }>);
          else reject(new SnapshotError(reply.op === 'refused' ? reply.message : 'unexpected reply'));
        },
        reject,
      });
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #flush(): void {
    this.#isFlushing = false;
    this.#worker.postMessage(this.#outbox.splice(0));
  }

  #receive(reply: Reply): void {
    if (reply.op === 'free') {
      for (const { block } of reply.pieces) {
        this.#given.delete(block);
        this.#blocks.giveBack(block);
      }
      this.#lanes.get(reply.lane)?.(reply.pieces.length);
      return;
    }
    const pending = this.#pending.get(reply.request);
    this.#pending.delete(reply.request);
    pending?.resolve(reply);
  }

  /** It takes its lanes with it. */
  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#onDeath(this);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    for (const block of this.#given) this.#blocks.giveBack(block);
    this.#given.clear();
    for (const freed of this.#lanes.values()) freed(0);
  }
}
