/** A bad connection: a TCP proxy on loopback that is slow, breaks connections, or stops passing bytes. */
import { connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

export interface Line {
  readonly url: string;
  readonly port: number;
  /** Bytes sent to the service so far. */
  sentBytes(): number;
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
}

export async function openLine({ toPort, bytesPerSecond = Infinity }: LineOptions): Promise<Line> {
  const pairs = new Set<{ near: Socket; far: Socket; frozen: boolean }>();
  let frozen = false;
  let sent = 0;
  let speed = bytesPerSecond;

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: toPort, host: '127.0.0.1', allowHalfOpen: true });
    const pair = { near, far, frozen };
    pairs.add(pair);
    const held = (): boolean => pair.frozen;
    near
      .pipe(
        throttle(
          () => speed,
          held,
          (bytes) => (sent += bytes),
        ),
      )
      .pipe(far)
      .pipe(throttle(() => Infinity, held))
      .pipe(near);
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
    sentBytes: () => sent,
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

function throttle(speed: () => number, isHeld: () => boolean, count?: (bytes: number) => void): Transform {
  return new Transform({
    highWaterMark: 64 * 1024,
    transform(chunk: Buffer, _encoding, callback) {
      // A frozen connection drops the bytes: the callback is never called.
      if (isHeld()) return;
      count?.(chunk.length);
      const bytesPerSecond = speed();
      if (bytesPerSecond === Infinity) callback(null, chunk);
      else void wait((chunk.length / bytesPerSecond) * 1000).then(() => callback(null, chunk));
    },
  });
}
