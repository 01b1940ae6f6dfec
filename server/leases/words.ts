/** Messages between nodes: what this node asks another about an upload, and which requests here wait for the answer. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Asked, UploadRecord } from '../catalog/catalog.ts';
import type { Wake } from './wake.ts';

/** A request that waits for a word looks again so often: words may be lost, and nodes die without a word. */
export const LOOK_AGAIN_MS = 1_000;

export interface Words {
  /** Tells all nodes that an upload was given back, or that what had come of it is committed. */
  tell(uploadId: string): void;
  /**
   * Asks the node that holds an upload, and waits for a word about the upload. Words may be lost: it waits for
   * `mostMs` at most, and no longer than until `signal` is aborted.
   *
   * @returns whether there was a word.
   */
  ask(held: Pick<UploadRecord, 'id' | 'holder'>, what: Asked, mostMs: number, signal?: AbortSignal): Promise<boolean>;
  /** Waits in the same way without asking. */
  untilTold(uploadId: string, mostMs: number): Promise<boolean>;
  /** Ends all waiting. No other node can ask this one any more. */
  close(): void;
}

export interface WordsOptions {
  node: string;
  wake: Wake;
  surroundings: Pick<Surroundings, 'setTimeout' | 'clearTimeout'>;
  /** Another node asks this one about an upload. */
  onAsked: (what: Asked, uploadId: string) => void;
}

/** Listens to the other nodes on behalf of this one. */
export function createWords({ node, wake, surroundings, onAsked }: WordsOptions): Words {
  /** By upload: what ends the waiting of each request. */
  const waiters = new Map<string, Set<(isTold: boolean) => void>>();

  const stopListening = wake.listen(node, {
    onAsked,
    onTold: (id) => {
      for (const resolve of waiters.get(id) ?? []) resolve(true);
    },
  });

  /** @param ask - called once the waiter is known, so that no answer is missed. */
  function told(id: string, mostMs: number, ask: () => unknown, signal?: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (isTold: boolean): void => {
        surroundings.clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        const others = waiters.get(id);
        others?.delete(done);
        if (others?.size === 0) waiters.delete(id);
        resolve(isTold);
      };
      const stop = (): void => done(false);
      const timer = surroundings.setTimeout(stop, mostMs);
      signal?.addEventListener('abort', stop, { once: true });
      waiters.set(id, (waiters.get(id) ?? new Set()).add(done));
      ask();
    });
  }

  return {
    tell: (id) => wake.tell(id),
    ask: ({ id, holder }, what, mostMs, signal) => told(id, mostMs, () => holder && wake.ask(holder, what, id), signal),
    untilTold: (id, mostMs) => told(id, mostMs, () => undefined),
    close: () => {
      stopListening();
      for (const [, all] of waiters) for (const resolve of all) resolve(false);
    },
  };
}
