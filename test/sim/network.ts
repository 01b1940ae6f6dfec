/** The network between clients and nodes: requests, their bodies, and answers that may never come. */
import { Readable } from 'node:stream';
import { TidemarkError } from '../../server/uploads/errors.ts';
import type { Chance } from './chance.ts';
import type { SimNode } from './node.ts';
import type { Actor, Scheduler } from './scheduler.ts';

export type Answer<T> =
  | { kind: 'ok'; value: T }
  /** An error of the domain, by its code. */
  | { kind: 'refused'; code: string }
  /** The client does not learn what became of it. */
  | { kind: 'lost' };

/** A request's connection, as the node sees it. */
export interface Connection {
  readonly body: Readable;
  /** Aborted when the client is gone, and the node has noticed. */
  readonly gone: AbortSignal;
}

export interface Body {
  chunks: readonly Uint8Array[];
  /** What the client does after the last of these chunks. */
  end: 'end' | 'close' | 'silence';
}

export interface RequestOptions<T> {
  client: Actor;
  node: SimNode;
  label: string;
  handle: (node: SimNode, connection: Connection) => Promise<T>;
  body?: Body;
  /** The client waits no longer. */
  patienceMs: number;
  /** Told of each chunk when the node has it. */
  onChunk?: () => void;
}

export interface Network {
  /** How often the answer to a client is lost. */
  losing: number;
  request<T>(options: RequestOptions<T>): Promise<Answer<T>>;
  /** A process was killed: its clients notice, sooner or later. */
  onKill(node: SimNode): void;
  /** Told of each refusal that no client should see. */
  onUnexpected: (label: string, error: unknown) => void;
}

/** As `IDLE_TIMEOUT`: a connection that brings nothing for so long is closed. */
const IDLE_MS = 120_000;

export function createNetwork(scheduler: Scheduler, chance: Chance): Network {
  const broken = new Map<SimNode, Set<() => void>>();

  const network: Network = {
    losing: 0,
    onUnexpected: () => undefined,

    request: <T>({ client, node, label, handle, body, patienceMs, onChunk }: RequestOptions<T>) =>
      new Promise<Answer<T>>((resolve) => {
        const stream = new Readable({ read: () => undefined });
        stream.on('error', () => undefined);
        const gone = new AbortController();
        let isOver = false;
        let isClosed = false;

        function end(answer: Answer<T>): void {
          if (isOver) return;
          isOver = true;
          broken.get(node)?.delete(onDeath);
          scheduler.clearTimer(patience);
          resolve(answer);
        }

        /** The node notices that the client is gone. */
        function close(): void {
          if (isClosed) return;
          isClosed = true;
          scheduler.add(`connection closed: ${label}`, node, () => {
            gone.abort(new Error('the client is gone'));
            stream.destroy(new Error('the connection broke'));
          });
        }

        function giveUp(): void {
          end({ kind: 'lost' });
          close();
        }

        const onDeath = (): void =>
          void scheduler.add(`connection reset: ${label}`, client, () => end({ kind: 'lost' }));
        const patience = scheduler.setTimer(client, giveUp, patienceMs);

        function reply(answer: Answer<T>): void {
          const told = answer.kind === 'ok' ? '' : ` ${answer.kind === 'refused' ? answer.code : ''}`;
          if (chance.happens(network.losing)) {
            scheduler.add(`answer is lost: ${label}${told}`, client, () => end({ kind: 'lost' }));
          } else scheduler.add(`answer: ${label}${told}`, client, () => end(answer));
        }

        function refuse(error: unknown): void {
          const code = error instanceof TidemarkError ? error.code : 'internal';
          // The edge's answer has no receiver any more.
          if (code === 'internal' && error !== gone.signal.reason) network.onUnexpected(label, error);
          reply({ kind: 'refused', code });
        }

        function deliver(index: number): void {
          const chunk = body?.chunks[index];
          if (chunk) {
            scheduler.add(`chunk ${index + 1}/${body.chunks.length} of ${chunk.length}: ${label}`, node, () => {
              if (isClosed) return;
              onChunk?.();
              stream.push(chunk);
              deliver(index + 1);
            });
            return;
          }
          if (body?.end === 'close') giveUp();
          else if (body?.end === 'silence') {
            end({ kind: 'lost' });
            // Until the node takes the connection for dead.
            scheduler.setTimer(node, close, IDLE_MS);
          } else scheduler.add(`end of body: ${label}`, node, () => void (isClosed || stream.push(null)));
        }

        scheduler.add(`request: ${label} at ${node.name}`, node.isReady ? node : client, () => {
          if (!node.isReady || node.isGone) return end({ kind: 'lost' });
          const others = broken.get(node) ?? new Set();
          broken.set(node, others.add(onDeath));
          void handle(node, { body: stream, gone: gone.signal }).then((value) => reply({ kind: 'ok', value }), refuse);
          deliver(0);
        });
        // Killed before the request came.
        if (node.isGone) onDeath();
        else broken.set(node, (broken.get(node) ?? new Set()).add(onDeath));
      }),

    onKill: (node) => {
      for (const notice of broken.get(node) ?? []) notice();
      broken.delete(node);
    },
  };
  return network;
}
