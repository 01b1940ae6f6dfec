/** The protocols below /uploads: each request is passed to the one that it speaks. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Middleware } from 'koa';
import { protocolOf } from './spoken.ts';

/** What decides of a request who answers it. */
export interface Addressed {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** The endpoints of the protocols. */
export interface Endpoints<State> {
  readonly tus: Middleware<State>;
  readonly rufh: Middleware<State>;
  /** Headers that announce RUFH, for OPTIONS, which tus answers. */
  readonly announced: (headers: IncomingHttpHeaders) => Record<string, string>;
}

/**
 * Prepares the choice.
 *
 * @returns a function that finds the handler of a request; undefined where it is for another route. It throws a Refusal for
 *   a request that speaks both.
 */
export function createMount<State>({
  tus,
  rufh,
  announced,
}: Endpoints<State>): (request: Addressed) => Middleware<State> | undefined {
  const options: Middleware<State> = async (ctx, next) => {
    ctx.set(announced(ctx.req.headers));
    await tus(ctx, next);
  };

  return ({ method, path, headers }) => {
    if (!/^\/uploads(?:\/[^/]*)?$/.test(path)) return undefined;
    if (method === 'OPTIONS') return options;
    const spoken = protocolOf(headers);
    if (spoken === 'rufh') return rufh;
    // A GET of an upload is a download, and so is a HEAD that speaks no protocol. tus refuses a GET of /uploads.
    const isDownload = method === 'GET' || (method === 'HEAD' && spoken === null);
    return isDownload && !/^\/uploads\/?$/.test(path) ? undefined : tus;
  };
}
