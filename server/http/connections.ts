/**
 * How many connections there may be: each takes a descriptor, and so do the files, the catalog and the bucket.
 * An idle connection is closed to make room for a new one, the longest idle first, so that no client
 * keeps others out by connecting. A connection with a request under way is never closed.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Refusal } from '../refusal.ts';
import { refusal } from './refusals.ts';

/** Catalog, threads, what the service listens on, connections to a bucket: some 40 when nothing is asked. */
const DESCRIPTORS_OF_OURS = 64;
/** Connections beyond those with a request: new ones, which have not asked yet. */
const SPARE = 16;
/** A request may need a file beside its connection. */
const DESCRIPTORS_PER_REQUEST = 2;
const LEAST_REQUESTS = 8;
const RETRY_AFTER_S = '5';
const TELL_EVERY_MS = 60_000;

export interface Connections {
  /** Counts a server's connections from now on. */
  watch(server: Server): void;
  /**
   * A request has come; it is under way until the response is closed.
   *
   * @returns its refusal, `too_many_connections`, where as many are under way as may be.
   */
  begin(socket: Socket, response: ServerResponse): Refusal | undefined;
}

/** @param mostRequests - that may be under way at a time. */
export function createConnections(mostRequests: number, log: Logger): Connections {
  /** In the order in which they became idle. */
  const idle = new Set<Socket>();
  /** How many of a connection's requests are under way: several where it does not wait for answers. */
  const busy = new Map<Socket, number>();
  const untold = { closed: 0, refused: 0 };
  let toldAt = -Infinity;

  function tell(what: keyof typeof untold): void {
    untold[what]++;
    const now = performance.now();
    if (now - toldAt < TELL_EVERY_MS) return;
    toldAt = now;
    log.warn({ mostRequests, ...untold }, 'as many connections as the limit of open files allows (ulimit -n)');
    untold.closed = 0;
    untold.refused = 0;
  }

  function end(socket: Socket): void {
    const left = (busy.get(socket) ?? 1) - 1;
    if (left > 0) {
      busy.set(socket, left);
      return;
    }
    busy.delete(socket);
    if (!socket.destroyed) idle.add(socket);
  }

  return {
    watch(server) {
      server.on('connection', (socket: Socket) => {
        idle.add(socket);
        socket.once('close', () => {
          idle.delete(socket);
          busy.delete(socket);
        });
        if (idle.size + busy.size <= mostRequests + SPARE) return;
        const [longest] = idle;
        longest?.destroy();
        if (longest) idle.delete(longest);
        tell('closed');
      });
    },
    begin(socket, response) {
      idle.delete(socket);
      busy.set(socket, (busy.get(socket) ?? 0) + 1);
      response.once('close', () => end(socket));
      if (busy.size <= mostRequests) return undefined;
      tell('refused');
      return refusal('too_many_connections', { headers: { 'Retry-After': RETRY_AFTER_S } });
    },
  };
}

/** How many requests may be under way at a time with so many descriptors. */
export function countAffordableRequests(descriptors: number): number {
  return Math.max(LEAST_REQUESTS, Math.floor((descriptors - DESCRIPTORS_OF_OURS - SPARE) / DESCRIPTORS_PER_REQUEST));
}
