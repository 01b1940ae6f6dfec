/** tus-js-client's requests: to the page's own origin, and as POST where something on the way blocks another method. */
import { DefaultHttpStack, type HttpRequest, type HttpResponse } from 'tus-js-client';
import { tellsOffset } from '../../core/offset-told.ts';
import { ownUrl } from './base.ts';
import { isToBeSaidByPost, sayMethod } from './methods.ts';

/** Sends every request to the page's own origin: the service's PUBLIC_URL may name another one. */
export class OwnOrigin extends DefaultHttpStack {
  override createRequest(method: string, url: string): HttpRequest {
    return requestOf(method, ownUrl(url), (said) => super.createRequest(said, ownUrl(url)));
  }
}

/** A request that is sent once more, as POST, where its method is refused. */
function requestOf(method: string, url: string, make: (said: string) => HttpRequest): HttpRequest {
  const headers = new Map<string, string>();
  let said = sayMethod(method);
  let current = begin();
  let onProgress: (bytes: number) => void = () => undefined;
  let isAborted = false;

  function begin(): HttpRequest {
    const request = make(said.method);
    for (const [name, value] of [...headers, ...Object.entries(said.headers)]) request.setHeader(name, value);
    return request;
  }

  async function send(body: unknown): Promise<HttpResponse> {
    const answer = await current.send(body);
    if (tellsOffset(method, answer.getStatus(), answer.getHeader('Upload-Offset'))) return asSuccess(answer);
    if (!isToBeSaidByPost(said, answer.getStatus()) || isAborted) return answer;
    said = sayMethod(method);
    current = begin();
    current.setProgressHandler(onProgress);
    return current.send(body);
  }

  return {
    getMethod: () => method,
    getURL: () => url,
    setHeader: (name, value) => {
      headers.set(name, value);
      current.setHeader(name, value);
    },
    getHeader: (name) => headers.get(name),
    setProgressHandler: (handler) => {
      onProgress = handler;
      current.setProgressHandler(handler);
    },
    send,
    abort: () => {
      isAborted = true;
      return current.abort();
    },
    getUnderlyingObject: (): unknown => current.getUnderlyingObject(),
  };
}

/** The answer with the status that the library expects of a HEAD. */
function asSuccess(answer: HttpResponse): HttpResponse {
  return {
    getStatus: () => 200,
    getHeader: (name) => answer.getHeader(name),
    getBody: () => '',
    getUnderlyingObject: (): unknown => answer.getUnderlyingObject(),
  };
}
