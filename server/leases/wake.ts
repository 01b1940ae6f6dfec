/**
 * How nodes wake each other. Every message is a hint: it may be lost, or arrive late or twice. Only the catalog is
 * authoritative.
 */
import type { Asked } from '../catalog/catalog.ts';

/** Sends messages between nodes. */
export interface Wake {
  /** Asks a node about an upload that it holds: to release it, or to commit the bytes it has received. */
  ask(node: string, what: Asked, uploadId: string): void;
  /** Notifies all nodes that an upload was released, or that its received bytes are committed. */
  tell(uploadId: string): void;
  /** Listens on behalf of a node until the returned function is called. */
  listen(node: string, ears: Ears): () => void;
}

/** What a node does on a message. */
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
