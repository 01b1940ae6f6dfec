/**
 * A client for tests that send thousands of requests: each connection is kept, and has several requests under way (HTTP/1.1
 * pipelining). Other tests have `send`.
 */
import { Client, type Dispatcher } from 'undici';
import { type Answer, codeOf } from './tus.ts';

export interface QuickRequest {
  method: string;
  /** Sent as it is, with its query. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
}

export interface QuickClient {
  /** Sends one request and reads the whole answer. */
  send(request: QuickRequest): Promise<Answer>;
  close(): Promise<void>;
}

/** Requests that are under way on one connection. */
const PIPELINED = 8;

/**
 * Opens a connection to each address; requests go round.
 *
 * @param host - as what all of them are addressed, so that addresses in their answers are the same.
 */
export function openQuickClient(urls: readonly string[], host: string): QuickClient {
  const clients = urls.map((url) => new Client(url, { pipelining: PIPELINED }));
  let turn = 0;

  return {
    send: ({ method, path, headers, body }) =>
      new Promise((resolve, reject) => {
        const client = clients[turn++ % clients.length];
        if (!client) throw new Error('no addresses');
        const options = {
          method: method as Dispatcher.HttpMethod,
          path,
          headers: { host, ...headers },
          body: body ?? null,
          // undici closes a connection after HEAD, and keeps the next request back until this one is answered.
          reset: false,
          blocking: false,
        };
        client.dispatch(options, readAnswer(resolve, reject));
      }),
    close: async () => {
      await Promise.all(clients.map((client) => client.destroy()));
    },
  };
}

function readAnswer(resolve: (answer: Answer) => void, reject: (error: Error) => void): Dispatcher.DispatchHandler {
  const chunks: Buffer[] = [];
  let status = 0;
  let headers: Answer['headers'] = {};
  return {
    // undici takes a handler for one of its own kind by this method.
    onRequestStart: () => undefined,
    onResponseStart: (_, given, { 'set-cookie': cookies, ...rest }) => {
      // Those below 200 are followed by the answer.
      status = given;
      headers = rest as Answer['headers'];
      if (cookies !== undefined) headers['set-cookie'] = [cookies].flat();
    },
    onResponseData: (_, chunk) => {
      chunks.push(chunk);
    },
    onResponseEnd: () => {
      const body = Buffer.concat(chunks).toString();
      resolve({ status, headers, body, code: codeOf(body) });
    },
    onResponseError: (_, error) => reject(error),
  };
}
