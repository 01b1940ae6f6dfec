/** Messages between nodes: what this node asks another about an upload, and which requests here wait for the answer. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Asked, UploadRecord } from '../catalog/catalog.ts';
import type { Wake } from './wake.ts';

/** How often a waiting request checks the row again: messages may be lost, and nodes may die without sending one. */
export const LOOK_AGAIN_MS = 1_000;

/** The messages of one node. */
export interface Words {
  /** Notifies all nodes that an upload was released, or that its received bytes are committed. */
  tell(uploadId: string): void;
  /**
   * Asks the node that holds an upload, and waits for a message about the upload. Messages may be lost: it waits for
   * `mostMs` at most, and stops when `signal` is aborted.
   *
   * @returns whether a message came.
   */
  ask(held: Pick<UploadRecord, 'id' | 'holder'>, what: Asked, mostMs: number, signal?: AbortSignal): Promise<boolean>;
  /** Waits in the same way without asking. */
  untilTold(uploadId: string, mostMs: number): Promise<boolean>;
  /** Ends all waiting. No other node can ask this one any more. */
  close(): void;
}

/** What messages work with. */
export interface WordsOptions {
  node: string;
  wake: Wake;
  surroundings: Pick<Surroundings, 'setTimeout' | 'clearTimeout'>;
  /** Another node asks this one about an upload. */
  onAsked: (what: Asked, uploadId: string) => void;
}

/** Listens to the other nodes on behalf of this one. */
export function createWords({ node, wake, surroundings, onAsked }: WordsOptions): Words {
  /** By upload: functions that end the waiting of each request. */
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
