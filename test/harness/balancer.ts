/**
 * A balancer without stickiness: each request goes to the next node, its body as it comes, with its trailers. Informational
 * answers (1xx) are passed on.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

export interface Balancer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Opens a balancer on loopback. Nothing is buffered or sent twice: a node that accepts no connection is passed over, and
 * when a node breaks a connection, so does the balancer.
 *
 * @param ports - of the nodes, on loopback.
 */
export async function openBalancer(ports: readonly number[]): Promise<Balancer> {
  // A kept connection may break just when the next request is sent.
  const agent = new Agent({ keepAlive: false });
  let turn = 0;

  function deal(incoming: IncomingMessage, outgoing: ServerResponse, passedOver = 0): void {
    const port = ports[turn++ % ports.length];
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path, headers, agent });
    // A client may wait for what a node tells before it sends a byte.
    onward.flushHeaders();
    let isConnected = false;
    let isAnswered = false;
    const giveUp = (): void => void onward.destroy();

    outgoing.once('close', giveUp);
    onward.once('socket', (socket) => {
      socket.once('connect', () => {
        isConnected = true;
        incoming.once('end', () => {
          if (Object.keys(incoming.trailers).length > 0) onward.addTrailers(incoming.trailers as NodeJS.Dict<string>);
        });
        // An answer that comes before all of the body ends the body's connection, and counts.
        pipeline(incoming, onward, () => undefined);
      });
    });
    onward.on('information', ({ statusCode, statusMessage, rawHeaders }) => {
      // Node 20 has no call for those other than 100, 102 and 103.
      incoming.socket.write(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${linesOf(rawHeaders)}\r\n`);
    });
    onward.once('response', (answer) => {
      isAnswered = true;
      outgoing.sendDate = false;
      outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
      pipeline(answer, outgoing, (error) => {
        if (error) incoming.socket.resetAndDestroy();
      });
    });
    onward.on('error', () => {
      if (isAnswered || incoming.socket.destroyed) return;
      outgoing.off('close', giveUp);
      if (!isConnected && passedOver + 1 < ports.length) deal(incoming, outgoing, passedOver + 1);
      else incoming.socket.resetAndDestroy();
    });
  }

  const server = createServer((incoming, outgoing) => deal(incoming, outgoing));
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      agent.destroy();
    },
  };
}

/** @param raw - names and values, in turns. */
function linesOf(raw: readonly string[]): string {
  return raw.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
}
