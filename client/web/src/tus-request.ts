/** A request of the tus protocol, where the page speaks it without the library: for the parts of a file. */
import type { HttpResponse } from 'tus-js-client';
import { isRefusedOnTheWay, REQUEST_TOO_LARGE } from '../../core/request-size.ts';
import { askForToken, authorization } from './access.ts';
import { ApiError, noAnswer, refusalOf } from './api.ts';
import { learnRequestSize } from './request-size.ts';
import { OwnOrigin } from './tus-stack.ts';

export interface TusRequest {
  method: 'POST' | 'PATCH';
  url: string;
  headers: Record<string, string>;
  body?: Blob;
  signal: AbortSignal;
  /** How long nothing may move before the connection counts as dead, once all bytes are sent, too. */
  silenceMs: number;
  onSent?: (bytes: number) => void;
}

const stack = new OwnOrigin({});

/** @throws ApiError; the reason of the signal. */
export async function sendTus(asked: TusRequest): Promise<HttpResponse> {
  const { signal, silenceMs } = asked;
  signal.throwIfAborted();
  const request = stack.createRequest(asked.method, asked.url);
  const headers = { 'Tus-Resumable': '1.0.0', ...asked.headers, ...authorization() };
  for (const [name, value] of Object.entries(headers)) request.setHeader(name, value);
  const silence = new AbortController();
  let timer = 0;
  function touch(): void {
    clearTimeout(timer);
    timer = window.setTimeout(() => silence.abort(noAnswer('nothing moves')), silenceMs);
  }
  request.setProgressHandler((bytes) => {
    touch();
    asked.onSent?.(bytes);
  });
  const stop = AbortSignal.any([signal, silence.signal]);
  // Without a listener after its end, a request, and what its answer holds, can be freed before the whole transfer ends.
  let leave: () => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    leave = () => {
      void request.abort();
      reject(stop.reason as Error);
    };
    stop.addEventListener('abort', leave, { once: true });
  });
  touch();
  try {
    const sent = request.send(asked.body ?? null).catch(() => {
      throw noAnswer();
    });
    return accepted(asked, await Promise.race([sent, stopped]));
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', leave);
  }
}

/** @throws ApiError where the answer is a refusal. */
function accepted({ method, body }: TusRequest, answer: HttpResponse): HttpResponse {
  const status = answer.getStatus();
  if (status >= 200 && status <= 299) return answer;
  if (status === 401) askForToken(authorization());
  const refusal = refusalOf(status, answer.getBody(), answer.getHeader('Retry-After'));
  const isOnTheWay = isRefusedOnTheWay(status, refusal.code, answer.getHeader('Tus-Resumable'));
  if (method === 'PATCH' && body && isOnTheWay && learnRequestSize(body.size)) {
    throw new ApiError(REQUEST_TOO_LARGE, status, refusal.message);
  }
  throw refusal;
}
