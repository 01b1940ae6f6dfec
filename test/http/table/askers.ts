/** Who asks: what each kind of asker sends beside the request, and what they are to get from each kind of route. */
import { bearer } from '../support.ts';
import type { Route } from './routes.ts';

export const ANNA = bearer('annas-secret-1');
export const BERT = bearer('berts-secret-2');
// Nobody reads a line for each request.
const COMMON = { DIGESTS: 'md5,sha1', TRASH_TTL: '7d', LOG_LEVEL: 'warn' };
const TOKENS = { ...COMMON, AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2' };

/** The services that they ask, and how the owner of things asks each. */
export const SERVICES = {
  'a service with tokens': { env: TOKENS, owner: ANNA },
  'a service with PUBLIC_READ': { env: { ...TOKENS, PUBLIC_READ: 'true' }, owner: ANNA },
  'a service without tokens': { env: COMMON, owner: {} },
  'a service behind a proxy': { env: { ...COMMON, AUTH: 'off', TRUST_PROXY: 'loopback' }, owner: {} },
} as const satisfies Record<string, { env: NodeJS.ProcessEnv; owner: Record<string, string> }>;

export type ServiceName = keyof typeof SERVICES;

/** What of a running service askers need to know. */
export interface Known {
  url: string;
  /** Cookies of tickets, by whose they are. */
  tickets: { anna: string; bert: string };
}

/** Status and code of a refusal; or the request is served, as the table says of its owner. */
export type Outcome = 'served' | readonly [status: number, code: string];

export interface Asker {
  title: string;
  service: ServiceName;
  headers(known: Known): Record<string, string>;
  /** Added to the query. */
  query?: string;
  /** Whether it asks the route at this place of the table; where this is left out, it asks all. */
  asks?(at: number): boolean;
  gets(route: Route): Outcome;
}

const UNAUTHORIZED = [401, 'unauthorized'] as const;
const NOT_FOUND = [404, 'not_found'] as const;
const FOREIGN_PAGE = [403, 'origin_not_allowed'] as const;
const FOREIGN_NAME = [421, 'unknown_host'] as const;

function withoutToken({ askers }: Route): Outcome {
  return askers === 'owner' ? UNAUTHORIZED : 'served';
}

function asStranger({ names }: Route): Outcome {
  return names ? NOT_FOUND : 'served';
}

function asForeignPage({ askers }: Route): Outcome {
  return askers === 'page' ? 'served' : FOREIGN_PAGE;
}

function underForeignName({ askers }: Route): Outcome {
  return askers === 'anyone' ? 'served' : FOREIGN_NAME;
}

/** Whether a ticket counts for it. */
function readsFile({ bytesOfFile, method }: Route): boolean {
  // An archive is downloaded by POST, too.
  return bytesOfFile === true && (method === 'GET' || method === 'POST');
}

/** Whether PUBLIC_READ opens it. */
function isOpen(route: Route): boolean {
  return readsFile(route) && route.ofAsker !== true;
}

/** Askers who differ only in headers that are judged before it is known which route is asked: each route is asked by one of them. */
function spread<T extends Omit<Asker, 'service'>>(askers: readonly T[]): T[] {
  return askers.map((asker, turn) => ({ ...asker, asks: (at) => at % askers.length === turn }));
}

/** What is no token of the service. */
const NO_TOKENS: readonly Record<string, string>[] = [
  { Authorization: 'Bearer' },
  { Authorization: 'Bearer wrong-secret-3' },
  { Authorization: 'Bearer annas-secret-1x' },
  { Authorization: 'Bearer anna:annas-secret-1' },
  { Authorization: 'Basic YW5uYTphbm5hcy1zZWNyZXQtMQ==' },
  { Authorization: 'annas-secret-1' },
  { 'X-Forwarded-User': 'anna', Cookie: 'token=annas-secret-1' },
];

const WITH_TOKENS: readonly Omit<Asker, 'service'>[] = [
  { title: 'its owner', headers: () => ANNA, gets: () => 'served' },
  { title: 'a stranger', headers: () => BERT, gets: asStranger },
  { title: 'somebody without a token', headers: () => ({}), gets: withoutToken },
  ...spread(
    NO_TOKENS.map((headers) => ({
      title: `somebody with ${JSON.stringify(headers)}`,
      headers: () => headers,
      gets: withoutToken,
    })),
  ),
  {
    title: 'somebody with a token in the query',
    headers: () => ({}),
    query: 'token=annas-secret-1&access_token=annas-secret-1',
    gets: withoutToken,
  },
  {
    title: "somebody with the owner's ticket",
    headers: ({ tickets }) => ({ Cookie: tickets.anna }),
    gets: (route) => (readsFile(route) ? 'served' : withoutToken(route)),
  },
  {
    title: "a page of another site with the owner's ticket",
    headers: ({ tickets }) => ({ Cookie: tickets.anna, 'Sec-Fetch-Site': 'same-site' }),
    gets: withoutToken,
  },
  {
    title: "somebody with a stranger's ticket",
    headers: ({ tickets }) => ({ Cookie: tickets.bert }),
    gets: (route) => (readsFile(route) ? NOT_FOUND : withoutToken(route)),
  },
  {
    title: "a stranger with the owner's ticket",
    headers: ({ tickets }) => ({ ...BERT, Cookie: tickets.anna }),
    gets: asStranger,
  },
  {
    title: 'a page of another site without a token',
    headers: () => ({ Origin: 'https://evil.example' }),
    gets: withoutToken,
  },
  ...spread([
    {
      title: 'a page of another site with the token',
      headers: () => ({ ...ANNA, Origin: 'https://evil.example' }),
      gets: () => 'served' as const,
    },
    {
      title: 'its owner by any name of the service',
      headers: () => ({ ...ANNA, Host: 'any.example', 'X-Forwarded-Host': 'other.example' }),
      gets: () => 'served' as const,
    },
  ]),
];

const WITH_PUBLIC_READ: readonly Omit<Asker, 'service'>[] = [
  {
    title: 'somebody without a token',
    headers: () => ({}),
    gets: (route) => (isOpen(route) ? 'served' : withoutToken(route)),
  },
  { title: 'a stranger', headers: () => BERT, gets: (route) => (isOpen(route) ? 'served' : asStranger(route)) },
];

const WITHOUT_TOKENS: readonly Omit<Asker, 'service'>[] = [
  { title: 'a program', headers: () => ({}), gets: () => 'served' },
  {
    title: 'its own page',
    headers: ({ url }) => ({ Origin: url, 'Sec-Fetch-Site': 'same-origin' }),
    gets: () => 'served',
  },
  ...spread(
    ['https://evil.example', 'http://localhost', 'null'].map((Origin) => ({
      title: `a page of the origin ${Origin}`,
      headers: () => ({ Origin, 'Sec-Fetch-Site': 'cross-site' }),
      gets: asForeignPage,
    })),
  ),
  {
    title: 'an image on a page of another site, without Origin',
    headers: () => ({ 'Sec-Fetch-Site': 'cross-site' }),
    gets: ({ path, by }) => (path === '/check' && by === 'with filename' ? FOREIGN_PAGE : 'served'),
  },
  ...spread(
    ['evil.example', 'nas.local:8080', '127.0.0.1.evil.example'].map((Host) => ({
      title: `a page under the name ${Host}, made to point at the service`,
      headers: () => ({ Host, Origin: `http://${Host}` }),
      gets: underForeignName,
    })),
  ),
  ...spread([
    { title: 'a program with a token that nobody asks for', headers: () => BERT, gets: () => 'served' as const },
    {
      title: 'a program that says what no proxy was asked to say',
      headers: () => ({ 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '::1' }),
      gets: () => 'served' as const,
    },
  ]),
];

const BEHIND_A_PROXY: readonly Omit<Asker, 'service'>[] = [
  {
    title: 'its own page, as the proxy calls it',
    headers: () => ({
      'X-Forwarded-Host': 'files.localhost',
      'X-Forwarded-Proto': 'https',
      Origin: 'https://files.localhost',
    }),
    gets: () => 'served',
  },
  {
    title: 'a page under a name of another, as the proxy passes it on',
    headers: () => ({ 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'http', Origin: 'http://evil.example' }),
    gets: underForeignName,
  },
  {
    title: 'a page under a name of another that came past the proxy',
    headers: () => ({ Host: 'evil.example', 'X-Forwarded-Host': 'files.localhost', Origin: 'http://evil.example' }),
    gets: underForeignName,
  },
];

function of(service: ServiceName, askers: readonly Omit<Asker, 'service'>[]): Asker[] {
  return askers.map((asker) => ({ ...asker, service }));
}

export const ASKERS: readonly Asker[] = [
  ...of('a service with tokens', WITH_TOKENS),
  ...of('a service with PUBLIC_READ', WITH_PUBLIC_READ),
  ...of('a service without tokens', WITHOUT_TOKENS),
  ...of('a service behind a proxy', BEHIND_A_PROXY),
];
