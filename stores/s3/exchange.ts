/** One request over the connections of a client, and its answer. */
import { type Agent as HttpAgent, type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { SYSTEM } from '../surroundings.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** The rest of a longer answer is not kept. */
const MOST_ANSWER_BYTES = 64 * 1024;

/** The connections, which the SDK's client has, too. */
export interface Agents {
  httpAgent: HttpAgent;
  httpsAgent: HttpsAgent;
}

/** A request. */
export interface Outgoing {
  isSecure: boolean;
  /** Without the brackets of an IPv6 address. */
  hostname: string;
  port: string;
  method: string;
  /** Path and query. */
  path: string;
  headers: Record<string, string>;
  bytes: Uint8Array;
  /** The connection counts as broken when nothing moves on it for this long; 0: never. */
  silenceMs: number;
}

/** The answer to a request. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Sends a request, and reads its answer. @throws the error of a broken connection. */
export function exchange(outgoing: Outgoing, agents: Agents, abortSignal: AbortSignal): Promise<Answer> {
  const { isSecure, hostname, port, method, path, headers, bytes, silenceMs } = outgoing;
  const options = { hostname, port, method, path, headers };
  return new Promise((resolve, reject) => {
    abortSignal.throwIfAborted();
    const request = isSecure
      ? httpsRequest({ ...options, agent: agents.httpsAgent })
      : httpRequest({ ...options, agent: agents.httpAgent });
    const breakOff = (why: string): void => void request.destroy(Object.assign(new Error(why), { code: 'ETIMEDOUT' }));
    const onAbort = (): void => void request.destroy(new Error('aborted', { cause: abortSignal.reason }));
    abortSignal.addEventListener('abort', onAbort, { once: true });

    function fail(error: Error): void {
      abortSignal.removeEventListener('abort', onAbort);
      reject(error);
    }

    request.on('error', fail);
    const onClose = (): void => fail(Object.assign(new Error('the connection closed'), { code: 'ECONNRESET' }));
    // Node closes the connection on an answer of status 101, and tells neither an error nor an answer.
    request.once('close', onClose);
    request.once('socket', (socket) => {
      if (!socket.connecting) return;
      const timer = SYSTEM.setTimeout(() => breakOff(`no connection in ${CONNECT_TIMEOUT_MS} ms`), CONNECT_TIMEOUT_MS);
      const forget = (): void => SYSTEM.clearTimeout(timer);
      socket.once('connect', forget).once('close', forget);
    });
    if (silenceMs > 0) request.setTimeout(silenceMs, () => breakOff(`nothing moved for ${silenceMs} ms`));
    request.once('response', (response) => {
      // From here on the answer tells.
      request.off('close', onClose);
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        if (length < MOST_ANSWER_BYTES) chunks.push(chunk);
        length += chunk.length;
      });
      // Also where the connection closes before the answer has ended.
      response.on('error', fail).once('close', onClose);
      response.once('end', () => {
        abortSignal.removeEventListener('abort', onAbort);
        // A refusal came before the last byte was sent: nobody takes the rest.
        if (!request.writableFinished) request.destroy();
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, text: Buffer.concat(chunks).toString() });
      });
    });
    request.end(bytes);
  });
}
