/** A line of TCP on loopback to a PostgreSQL that notes the statements which are sent through it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** PostgreSQL: "55.2. Message Flow", SSLRequest. */
const SSL_REQUEST = 80_877_103;
/** Messages that begin a statement: Query, Parse. */
const [QUERY, PARSE] = [0x51, 0x50];

export interface StatementWire {
  readonly port: number;
  /** The statements of each transaction so far, in the order in which they began, with their BEGIN and COMMIT. */
  readonly transactions: readonly (readonly string[])[];
  close(): Promise<void>;
}

/** @param to - the port of the server. */
export async function openStatementWire(to: number): Promise<StatementWire> {
  const transactions: string[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connect(to, '127.0.0.1');
    for (const socket of [client, behind]) sockets.add(socket.on('error', () => socket.destroy()));
    let open: string[] | undefined;
    const read = createReader((statement) => {
      if (open) open.push(statement);
      else transactions.push((open = [statement]));
      if (!open[0]?.startsWith('begin') || /^(commit|rollback)/.test(statement)) open = undefined;
    });
    client.on('data', (chunk: Buffer) => read(chunk));
    client.pipe(behind).pipe(client);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    transactions,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Reads the messages of one client, bit by bit. */
function createReader(tell: (statement: string) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  // The first message, and a question for TLS before it, have no type.
  let isStarted = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const begin = isStarted ? 1 : 0;
      if (rest.length < begin + 4) return;
      const end = begin + rest.readInt32BE(begin);
      if (rest.length < end) return;
      const body = rest.subarray(begin + 4, end).toString();
      if (!isStarted) isStarted = rest.readInt32BE(4) !== SSL_REQUEST;
      else if (rest[0] === QUERY) tell(body.slice(0, -1));
      // A name, and the statement.
      else if (rest[0] === PARSE) tell(body.split('\0')[1] ?? '');
      rest = rest.subarray(end);
    }
  };
}
