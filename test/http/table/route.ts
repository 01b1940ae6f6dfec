/** What a row of the table of routes says. */
import type { RouteGroup } from '../../../server/config/config.ts';
import type { Ask } from './ask.ts';
import type { BySecret } from './by-secret.ts';
import type { Thing } from './things.ts';

/**
 * Who may ask. `anyone`: whatever the token, page or name; `page`: the page and its assets, which need no
 * token and come with any Origin; `owner`: those with a token, of the service's own pages.
 */
export type Askers = 'anyone' | 'page' | 'owner';

/**
 * What it takes from a request, and so what it must be tried with: a query; a JSON object, urlencoded
 * parameters or a form as its body; bytes of an upload; a `name` for bytes, or one that is `typed` by a person;
 * `labels` (a media type, digests that are optional) beside bytes; `sizes`, numbers of bytes or of rows; `ids`, of which there may
 * be thousands, as JSON or as a form; a `password` in a form.
 */
export type Takes =
  | 'query'
  | 'json'
  | 'urlencoded'
  | 'form'
  | 'bytes'
  | 'name'
  | 'typed'
  | 'labels'
  | 'sizes'
  | 'ids'
  | 'password';

export interface Route {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As the router has it. */
  path: string;
  /** Where a route has several rows: what this one is about. */
  by?: string;
  /** It is one of Resumable Uploads for HTTP, which has addresses in common with tus. */
  speaks?: 'rufh';
  /** The group that it is served with; null: by every process. */
  group: RouteGroup | null;
  askers: Askers;
  takes: readonly Takes[];
  /** To the owner of the thing that it is asked about. */
  status: number;
  /** Whether a thing is asked for by its id or digest: then one of somebody else is `not_found`, as one that is not there. */
  names?: true;
  /** An address of a file's bytes: tickets and PUBLIC_READ open it. */
  bytesOfFile?: true;
  /** Whoever knows the secret of a link may ask: what they are told, by links of either kind, also by those that open nothing. */
  bySecret?: BySecret;
  /** The most bytes that it reads, where these are not the usual 16 KiB. */
  mostBodyBytes?: number;
  /** What is asked for depends on who asks: PUBLIC_READ does not open it. */
  ofAsker?: true;
  /** A right request about a thing. */
  ask(thing: Thing): Omit<Ask, 'method'>;
}
