/**
 * Limits the number of connections: each takes a file descriptor, and so do files, the catalog and connections to the bucket.
 * To make room for a new connection, the one that has been idle for longest is closed, so that no client can keep others out
 * just by connecting. A connection with a request under way is never closed.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Refusal } from '../refusal.ts';
import { refusal } from './refusals.ts';

/** Descriptors for the catalog, threads, listening sockets and connections to a bucket: some 40 in an idle service. */
const DESCRIPTORS_OF_OURS = 64;
/** Connections without a request that are allowed beyond the limit of requests: new ones have not sent theirs yet. */
const SPARE = 16;
/** A request may need a file beside its connection. */
const DESCRIPTORS_PER_REQUEST = 2;
const LEAST_REQUESTS = 8;
const RETRY_AFTER_S = '5';
const TELL_EVERY_MS = 60_000;

export interface Connections {
  /** Counts and limits a server's connections from now on. */
  watch(server: Server): void;
  /**
   * Counts a request, which is under way until its response is closed.
   *
   * @returns a refusal, `too_many_connections`, where more are under way than the limit.
   */
  begin(socket: Socket, response: ServerResponse): Refusal | undefined;
}

/** @param mostRequests - how many connections may have requests under way at a time. */
export function createConnections(mostRequests: number, log: Logger): Connections {
  /** Connections without a request, in the order in which they became idle. */
  const idle = new Set<Socket>();
  /** How many requests of a connection are under way: several where the client does not wait for answers (pipelining). */
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

/** How many requests may be under way at a time. @param descriptors - the limit of open files (`ulimit -n`). */
export function countAffordableRequests(descriptors: number): number {
  return Math.max(LEAST_REQUESTS, Math.floor((descriptors - DESCRIPTORS_OF_OURS - SPARE) / DESCRIPTORS_PER_REQUEST));
}
