/** What middleware stores about a request for the middleware and routes after it. */
import type { Context, Middleware } from 'koa';
import type { Logger } from 'pino';
import type { Sending } from '../links/contract.ts';

export interface RequestState {
  requestId: string;
  log: Logger;
  /** Who sends the request: the name of a token, or ANYONE. */
  owner: string;
  /** Public base of addresses in the answer, without a trailing slash. */
  baseUrl: string;
  /** The upload that the request is about, for the log. */
  uploadId?: string;
  /** The link that was opened, for the log. */
  linkId?: string;
  /** What went wrong, for the log. */
  failure?: unknown;
  /** Of a request of an upload protocol that comes by a link. */
  sending?: Sending;
}

export type Handler = Middleware<RequestState>;
export type Ctx = Parameters<Handler>[0] & Context;
