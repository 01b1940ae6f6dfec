/** A bad connection: a TCP proxy on loopback that is slow, breaks connections, or stops passing bytes. */
import { connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

export interface Line {
  readonly url: string;
  readonly port: number;
  /** Bytes sent to the service so far. */
  sentBytes(): number;
  /** Bytes that the service has sent so far. */
  receivedBytes(): number;
  /** How many connections there have been that carried so many bytes at least, in both directions together. */
  carriers(leastBytes: number): number;
  /** How many connections are open: what a client has sent before it died still arrives. */
  connections(): number;
  /** Sets the speed to the service, of each connection, in bytes per second. */
  setSpeed(bytesPerSecond: number): void;
  /** Breaks all connections (RST). */
  cut(): void;
  /** Passes nothing any more, in either direction, and closes nothing: like a peer that has vanished. */
  freeze(): void;
  /** New connections pass again; frozen ones stay frozen. */
  thaw(): void;
  close(): Promise<void>;
}

export interface LineOptions {
  /** Port of the service on loopback. */
  toPort: number;
  /** Speed to the service; unlimited by default. */
  bytesPerSecond?: number;
  /** Speed from the service; unlimited by default. */
  answersPerSecond?: number;
  /** What it adds to a round trip; nothing by default. */
  roundTripMs?: number;
}

/** More than any line of these tests carries within a round trip. */
const MOST_UNDER_WAY_BYTES = 4 * 1024 * 1024;

export async function openLine(options: LineOptions): Promise<Line> {
  const { toPort, bytesPerSecond = Infinity, answersPerSecond = Infinity, roundTripMs = 0 } = options;
  const pairs = new Set<{ near: Socket; far: Socket; frozen: boolean }>();
  const carried: { sent: number; received: number }[] = [];
  let frozen = false;
  let speed = bytesPerSecond;

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: toPort, host: '127.0.0.1', allowHalfOpen: true });
    const pair = { near, far, frozen };
    pairs.add(pair);
    const held = (): boolean => pair.frozen;
    const bytesOf = { sent: 0, received: 0 };
    carried.push(bytesOf);
    const there = throttle(
      () => speed,
      held,
      (bytes) => (bytesOf.sent += bytes),
    );
    const back = throttle(
      () => answersPerSecond,
      held,
      (bytes) => (bytesOf.received += bytes),
    );
    near.pipe(there);
    late(there, roundTripMs / 2).pipe(far);
    far.pipe(back);
    late(back, roundTripMs / 2).pipe(near);
    for (const socket of [near, far]) {
      socket.on('error', () => drop(pair));
      socket.on('close', () => {
        if (!pair.frozen) drop(pair);
      });
    }
  });

  function drop(pair: { near: Socket; far: Socket }): void {
    for (const socket of [pair.near, pair.far]) {
      if (!socket.destroyed) socket.resetAndDestroy();
    }
    for (const known of pairs) if (known.near === pair.near) pairs.delete(known);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    sentBytes: () => carried.reduce((sum, { sent }) => sum + sent, 0),
    receivedBytes: () => carried.reduce((sum, { received }) => sum + received, 0),
    carriers: (leastBytes) => carried.filter(({ sent, received }) => sent + received >= leastBytes).length,
    connections: () => pairs.size,
    setSpeed: (next) => {
      speed = next;
    },
    cut: () => {
      for (const pair of pairs) drop(pair);
    },
    freeze: () => {
      frozen = true;
      for (const pair of pairs) pair.frozen = true;
    },
    thaw: () => {
      frozen = false;
    },
    close: async () => {
      for (const pair of pairs) drop(pair);
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** What passes through comes out so much later. */
function late(from: Transform, delayMs: number): Transform {
  if (delayMs === 0) return from;
  let underWay = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      underWay += chunk.length;
      setTimeout(() => {
        underWay -= chunk.length;
        if (!stream.destroyed) stream.push(chunk);
      }, delayMs);
      whenRoom(callback);
    },
    flush: (callback) => {
      setTimeout(callback, delayMs);
    },
  });
  function whenRoom(then: () => void): void {
    if (underWay + stream.readableLength < MOST_UNDER_WAY_BYTES) then();
    else setTimeout(() => whenRoom(then), 5);
  }
  return from.pipe(stream);
}

function throttle(speed: () => number, isHeld: () => boolean, count?: (bytes: number) => void): Transform {
  /** When the line is free again: timers that are late must not make it slower than it is. */
  let freeAtMs = 0;
  return new Transform({
    highWaterMark: 64 * 1024,
    transform(chunk: Buffer, _encoding, callback) {
      // A frozen connection drops the bytes: the callback is never called.
      if (isHeld()) return;
      count?.(chunk.length);
      const bytesPerSecond = speed();
      if (bytesPerSecond === Infinity) callback(null, chunk);
      else {
        freeAtMs = Math.max(freeAtMs, performance.now()) + (chunk.length / bytesPerSecond) * 1000;
        void wait(Math.max(0, freeAtMs - performance.now())).then(() => callback(null, chunk));
      }
    },
  });
}
