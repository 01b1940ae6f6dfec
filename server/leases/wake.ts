/**
 * How nodes wake each other. All of it is a hint: it may be lost, or come late or twice. What holds stands in the
 * catalog.
 */
import type { Asked } from '../catalog/catalog.ts';

export interface Wake {
  /** Asks a node about an upload that it holds: to give it back, or to commit all that has come. */
  ask(node: string, what: Asked, uploadId: string): void;
  /** Tells all nodes that an upload was given back, or that what had come of it is committed. */
  tell(uploadId: string): void;
  /** Listens on behalf of a node until the returned function is called. */
  listen(node: string, ears: Ears): () => void;
}

export interface Ears {
  onAsked(what: Asked, uploadId: string): void;
  onTold(uploadId: string): void;
}

/** Wakes the nodes of one process. */
export function createProcessWake(): Wake {
  const nodes = new Map<string, Ears>();
  return {
    ask: (node, what, uploadId) => nodes.get(node)?.onAsked(what, uploadId),
    tell: (uploadId) => {
      for (const ears of nodes.values()) ears.onTold(uploadId);
    },
    listen: (node, ears) => {
      nodes.set(node, ears);
      return () => void nodes.delete(node);
    },
  };
}
