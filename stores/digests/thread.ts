/** A worker thread of the digest pool: sends it requests, and takes its blocks and requests back when it dies. */
import { Worker } from 'node:worker_threads';
import type { Blocks } from './blocks.ts';
import { SnapshotError } from './digests.ts';
import { createHeld, type Held, type Target } from './held.ts';
import type { Reply, Request, WorkerSetup } from './messages.ts';

/** Called when blocks of a lane are free again, with their number; with 0 when the thread has died. */
type Freed = (blocks: number) => void;

type Question = Exclude<Reply['op'], 'free' | 'refused'>;

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: Error) => void;
}

/** A worker thread. */
export class Thread {
  readonly #worker: Worker;
  readonly #blocks: Blocks;
  readonly #onDeath: (thread: Thread) => void;
  readonly #lanes = new Map<number, Freed>();
  /** Requests that wait for a reply, by their number. */
  readonly #pending = new Map<number, Pending>();
  /** Blocks that the thread still uses. */
  readonly #given = new Set<number>();
  /** Requests that are sent together. */
  readonly #held: Held;
  #isSending = false;
  #failure: Error | undefined;
  #lastLane = 0;
  #lastRequest = 0;

  /** @param onDeath - called once when the thread dies, before the lanes' callbacks. */
  constructor(setup: WorkerSetup, blocks: Blocks, onDeath: (thread: Thread) => void) {
    this.#blocks = blocks;
    this.#held = createHeld(blocks);
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

  /** The number of its lanes. */
  get lanes(): number {
    return this.#lanes.size;
  }

  /** The error with which the thread died; undefined while it is alive. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Adds a lane. @returns its number on this thread. */
  enter(freed: Freed): number {
    // While a digest is open, its thread keeps the process alive. During a start, nothing else may do so.
    if (this.#lanes.size === 0) this.#worker.ref();
    const lane = ++this.#lastLane;
    this.#lanes.set(lane, freed);
    return lane;
  }

  /** Removes a lane. Its bytes that are not sent yet are forgotten. */
  leave(lane: number): void {
    this.#lanes.delete(lane);
    // With the next message: nobody waits for it.
    for (const block of this.#failure ? [] : this.#held.close(lane)) this.#release(block);
    if (this.#lanes.size === 0) this.#worker.unref();
  }

  /** Sends a request, together with all others of this tick. @throws the error with which the thread died. */
  send(request: Exclude<Request, { op: 'update' | 'close' }>): void {
    if (this.#failure) throw this.#failure;
    this.#held.push(request);
    const { op } = request;
    // Requests without a reply wait for the next message.
    if (op !== 'open' && op !== 'beginPart') this.#sendSoon();
  }

  /** Copies as much of a chunk as there is room for in the lane's last block. @returns the copy; undefined where there is no room. */
  append(lane: number, to: Target, chunk: Uint8Array, from: number): Uint8Array | undefined {
    return this.#held.append(lane, to, chunk, from);
  }

  /**
   * Adds a block for more bytes of a lane. It becomes free again, also when the thread dies.
   *
   * @throws the error with which the thread died.
   */
  addBlock(lane: number, to: Target, block: number): void {
    if (this.#failure) {
      this.#blocks.giveBack(block);
      throw this.#failure;
    }
    this.#given.add(block);
    this.#held.addBlock(lane, to, block);
  }

  /** To be called after bytes were added: sends what is held, if that is enough. @throws the error with which the thread died. */
  sendIfDue(): void {
    if (this.#failure) throw this.#failure;
    if (this.#held.isDue(this.#lanes.size)) this.#sendSoon();
  }

  /** Sends what is held. */
  sendNow(): void {
    const requests = this.#held.takeAll();
    if (requests.length > 0) this.#worker.postMessage(requests);
  }

  /** Sends a request and waits for its reply. @throws SnapshotError where it is refused; the error with which the thread died. */
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

  /** Stops the thread. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Later in this tick, so that requests of its promises are sent in the same message. */
  #sendSoon(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    process.nextTick(() => {
      this.#isSending = false;
      this.sendNow();
    });
  }

  #release(block: number): void {
    if (this.#given.delete(block)) this.#blocks.giveBack(block);
  }

  #receive(reply: Reply): void {
    if (reply.op === 'free') {
      for (const { block } of reply.pieces) this.#release(block);
      this.#lanes.get(reply.lane)?.(reply.pieces.length);
      return;
    }
    const pending = this.#pending.get(reply.request);
    this.#pending.delete(reply.request);
    pending?.resolve(reply);
  }

  /** The thread has died: rejects its requests, frees its blocks, and wakes its lanes. */
  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#onDeath(this);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#held.takeAll();
    for (const block of this.#given) this.#release(block);
    for (const freed of this.#lanes.values()) freed(0);
  }
}
