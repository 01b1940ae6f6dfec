/** Which service to use, and with which token. Flags win over the environment, which wins over `.env`. */
import { readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import { UsageError, describeError } from './errors.ts';
import { parseDuration } from './format.ts';

export interface Settings {
  /** Without a slash at the end. */
  readonly serverUrl: string;
  /** Sent only to `serverUrl`, and never printed. */
  readonly token: string | null;
  /** How long to retry without progress. */
  readonly retryForMs: number;
  /** Whether the user has set `--retry-for`: then it counts before the first answer, too. */
  readonly persistent: boolean;
  /** How long nothing may move on a connection. */
  readonly stallTimeoutMs: number;
}

export interface ConnectionFlags {
  server?: string;
  token?: string;
  retryFor?: string;
  stallTimeout?: string;
}

type Environment = Record<string, string | undefined>;

/** @throws UsageError when a value makes no sense, and when there is a `.env` that cannot be read. */
export function readSettings(flags: ConnectionFlags, defaults: { retryFor: string }): Settings {
  const environment: Environment = { ...readDotenv(), ...withoutEmpty(process.env) };
  const token = flags.token ?? environment['TIDEMARK_TOKEN'] ?? null;
  // The token becomes a header: for a stray line break, node:http would throw an obscure error.
  if (token !== null && !/^[\u0021-\u007e]+$/.test(token)) {
    throw new UsageError('The token contains characters that no token has (spaces, line breaks or non-ASCII).');
  }
  return {
    serverUrl: serverUrlOf(flags, environment),
    token,
    persistent: flags.retryFor !== undefined,
    retryForMs: parseDuration(flags.retryFor ?? defaults.retryFor, '--retry-for'),
    stallTimeoutMs: Math.max(100, parseDuration(flags.stallTimeout ?? '30s', '--stall-timeout')),
  };
}

function serverUrlOf({ server }: ConnectionFlags, environment: Environment): string {
  if (server !== undefined) return parseServer(server, '--server');
  const named = environment['TIDEMARK_SERVER'];
  return named === undefined ? defaultServerUrl(environment) : parseServer(named, 'TIDEMARK_SERVER');
}

/**
 * Reads `HOST:PORT`, or a URL with an optional path prefix.
 *
 * @param source - the flag or variable that has the text, which messages name.
 * @returns the URL without a slash at its end.
 * @throws UsageError
 */
function parseServer(text: string, source: string): string {
  const trimmed = text.trim();
  const candidate = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`;
  let url: URL;
  try {
    url = new URL(candidate);
  } catch {
    throw new UsageError(`${source}: “${text}” is neither HOST:PORT nor a URL.`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UsageError(`${source}: only http and https are supported, not “${url.protocol}”.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(`${source}: a name or password in the URL is not supported; use TIDEMARK_TOKEN.`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw new UsageError(`${source}: “${text}” must end with the host, the port or a path.`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function defaultServerUrl(environment: Environment): string {
  const host = environment['HOST'] ?? '127.0.0.1';
  // HOST may be a wildcard address, to which no client can connect.
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const bracketed = reachable.includes(':') && !reachable.startsWith('[') ? `[${reachable}]` : reachable;
  try {
    return parseServer(`http://${bracketed}:${environment['HTTP_PORT'] ?? '8080'}`, 'HOST and HTTP_PORT');
  } catch {
    throw new UsageError('HOST and HTTP_PORT do not make an address; set TIDEMARK_SERVER or --server.');
  }
}

function readDotenv(): Environment {
  try {
    return withoutEmpty(parse(readFileSync('.env')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    // Without it, the files could go to another service than the one that it names.
    throw new UsageError(`.env in this folder cannot be read: ${describeError(error)}.`);
  }
}

function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''));
}
