/** What middleware finds out about a request for those that follow. */
import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';

export interface RequestState {
  requestId: string;
  log: Logger;
  /** Who asks: a token's name, or ANYONE. */
  owner: string;
  /** Public base of addresses in the answer, without a trailing slash. */
  baseUrl: string;
  /** The upload it is about, for the log. */
  uploadId?: string;
  /** What went wrong, for the log. */
  failure?: unknown;
}

export type Handler = Middleware<RequestState>;
export type Ctx = Parameters<Handler>[0] & Context;
