/** A TCP proxy on loopback that cuts a connection when a chosen text is sent through it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * `before`: the text does not arrive. `after`: it arrives, but its answer does not. `silent`: from then on nothing
 * arrives, and neither side is told.
 */
export type Cut = 'before' | 'after' | 'silent';

export interface CuttingWire {
  readonly port: number;
  /** Cuts a connection, once, when its client sends this text. */
  cutAt(text: string, cut: Cut): void;
  close(): Promise<void>;
}

/** @param to - the port it leads to. */
export async function openCuttingWire(to: number): Promise<CuttingWire> {
  const sockets = new Set<Socket>();
  let next: { text: string; cut: Cut } | undefined;
  const server = createServer((client) => {
    const behind = connect(to, '127.0.0.1');
    for (const socket of [client, behind]) sockets.add(socket.on('error', () => socket.destroy()));
    let isCut = false;
    let isSilent = false;
    client.on('data', (chunk: Buffer) => {
      const cut = next && chunk.includes(next.text) ? next.cut : undefined;
      if (cut) next = undefined;
      if (cut === 'silent') isSilent = true;
      if (isSilent) return;
      if (cut !== 'before') behind.write(chunk);
      if (cut === 'before') client.destroy();
      if (cut === 'after') isCut = true;
    });
    behind.on('data', (chunk: Buffer) => {
      if (isSilent) return;
      if (isCut) client.destroy();
      else client.write(chunk);
    });
    client.on('close', () => behind.destroy());
    behind.on('close', () => client.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cutAt: (text, cut) => {
      next = { text, cut };
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
