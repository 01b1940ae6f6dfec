/** Turns the environment into a Config: checks everything, and reports all problems at once. */
import { join, resolve } from 'node:path';
import { DIGEST_ALGORITHMS, type DigestAlgorithm } from '../../stores/digests/digests.ts';
import { parseOrigin, parseTokens } from './access.ts';
import { isLoopback, isProxyRange, parseHost } from './addresses.ts';
import { readStore } from './bucket.ts';
import type { Config, DatabaseConfig, DownloadConfig, InstantPolicy } from './config.ts';
import type { Env } from './env.ts';
import { ConfigError, type ConfigProblem, quote } from './problems.ts';
import { readQuotas } from './quotas.ts';
import { checkCertificates, createReader, type Reader } from './reader.ts';
import { readServices, readWorkers } from './groups.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const INSTANT_POLICIES: readonly InstantPolicy[] = ['owner', 'all', 'off'];

/** The longest delay a timer takes is 2^31 - 1 ms; a longer one fires at once. */
const LONGEST_WAIT = '1d';
const LONGEST_TTL = '3650d';
/** SigV4: a presigned address is valid for at most a week. */
const LONGEST_PRESIGN_TTL = '7d';

/**
 * Validates the environment.
 *
 * @param env - variables by name. An empty one counts as not set, but an empty AUTH_TOKENS is a problem.
 * @throws ConfigError with every problem.
 */
export function parseConfig(env: Env): Config {
  const problems: ConfigProblem[] = [];
  const read = createReader(env, problems);

  const dataDir = resolve(read.text('DATA_DIR', './data'));
  const publicUrl = readPublicUrl(read);
  const tokensText = read.optional('AUTH_TOKENS');
  if (tokensText === undefined && env['AUTH_TOKENS'] !== undefined) {
    read.problem('AUTH_TOKENS', 'is set but empty, which would let anyone in: give it name:secret pairs, or unset it');
  }
  const tokens = tokensText ? parseTokens(tokensText, (message) => read.problem('AUTH_TOKENS', message)) : [];
  const store = readStore(read);
  const database = readDatabase(read, dataDir);
  const config: Config = {
    listen: readHost(read, 'LISTEN', 'the port belongs in HTTP_PORT') ?? '127.0.0.1',
    port: read.wholeNumber('HTTP_PORT', 8080, 0, 65_535),
    host: readHost(read, 'HOST', 'a whole address belongs in PUBLIC_URL'),
    publicUrl,
    basePath: publicUrl ? new URL(publicUrl).pathname.replace(/\/$/, '') : '',
    trustProxy: read.list('TRUST_PROXY'),
    store,
    database,
    dataDir,
    maxFileSizeBytes: read.bytes('MAX_FILE_SIZE'),
    maxAppendBytes: read.bytes('MAX_APPEND_SIZE'),
    maxOpenUploads: read.wholeNumber('MAX_OPEN_UPLOADS', 10_000, 1, 1_000_000),
    quotas: readQuotas(read, tokens),
    uploadTtlMs: read.duration('UPLOAD_TTL', '24h', LONGEST_TTL),
    trashTtlMs: read.duration('TRASH_TTL', '7d', LONGEST_TTL, { orNone: true }),
    download: readDownload(read),
    digests: readDigests(read),
    access: {
      tokens,
      instant: read.oneOf('INSTANT', INSTANT_POLICIES, 'owner'),
      publicRead: read.flag('PUBLIC_READ'),
      corsOrigins: readCorsOrigins(read, tokensText !== undefined),
      corsHeaders: readCorsHeaders(read),
      corsCredentials: read.flag('CORS_CREDENTIALS'),
    },
    services: readServices(read, database),
    workers: readWorkers(read, database, store),
    shutdownTimeoutMs: read.duration('SHUTDOWN_TIMEOUT', '10s', LONGEST_WAIT),
    lockTimeoutMs: read.duration('LOCK_TIMEOUT', '10s', LONGEST_WAIT),
    idleTimeoutMs: read.duration('IDLE_TIMEOUT', '5m', LONGEST_WAIT),
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
  };
  checkProxies(config.trustProxy, read);
  if (config.download.mode === 'redirect' && config.store.kind === 'local') {
    read.problem('DOWNLOAD', 'must be stream with STORE=local: a file on its disk has no address but the service');
  }
  if (config.access.corsCredentials && !namesOrigins(config.access.corsOrigins)) {
    read.problem('CORS_CREDENTIALS', 'needs CORS_ORIGINS to name the origins: browsers send cookies to no *');
  }
  checkAccess(config, tokensText !== undefined, read);
  if (problems.length > 0) throw new ConfigError(problems);
  return deepFreeze(config);
}

function readHost(read: Reader, variable: string, elsewhere: string): string | null {
  const given = read.optional(variable);
  if (given === undefined) return null;
  const host = parseHost(given);
  if (host !== undefined) return host;
  read.problem(variable, `must be an IP address or a host name alone (${elsewhere}), not ${quote(given)}`);
  return null;
}

function readPublicUrl(read: Reader): string | null {
  const given = read.optional('PUBLIC_URL');
  if (given === undefined) return null;
  if (URL.canParse(given)) {
    const url = new URL(given);
    if (/^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username && !url.password) {
      return url.origin + url.pathname.replace(/\/+$/, '');
    }
  }
  read.problem('PUBLIC_URL', `must be an address such as https://files.example.org/prefix, not ${quote(given)}`);
  return null;
}

function readDatabase(read: Reader, dataDir: string): DatabaseConfig {
  const given = read.secret('DATABASE_URL');
  const poolSize = read.wholeNumber('DATABASE_POOL', 10, 1, 1000);
  const ca = read.content('DATABASE_CA_FILE', checkCertificates) ?? null;
  const directUrl = readDirectUrl(read);
  if (given === undefined) return { kind: 'sqlite', file: join(dataDir, 'catalog.db') };
  const file = /^sqlite:(?:\/\/)?(.+)$/.exec(given)?.[1];
  if (file && file !== ':memory:') return { kind: 'sqlite', file: resolve(file) };
  if (isPostgresAddress(given)) return { kind: 'postgres', url: given, directUrl, ca, poolSize };
  // The address may hold a password: it is not repeated.
  read.problem('DATABASE_URL', 'must be sqlite:<path of a file>, or postgres://user:password@host:port/database');
  return { kind: 'sqlite', file: '' };
}

function readDirectUrl(read: Reader): string | null {
  const given = read.secret('DATABASE_DIRECT_URL');
  if (given === undefined || isPostgresAddress(given)) return given ?? null;
  read.problem('DATABASE_DIRECT_URL', 'must be postgres://user:password@host:port/database');
  return null;
}

function isPostgresAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return /^postgres(?:ql)?:$/.test(protocol) && hostname !== '' && /^\/[^/]+$/.test(pathname);
}

function readDownload(read: Reader): DownloadConfig {
  const mode = read.oneOf('DOWNLOAD', ['stream', 'redirect'] as const, 'stream');
  const presignTtlMs = read.duration('PRESIGN_TTL', '5m', LONGEST_PRESIGN_TTL);
  if (presignTtlMs % 1000 !== 0) {
    read.problem('PRESIGN_TTL', `must be whole seconds, not ${quote(read.text('PRESIGN_TTL', ''))}`);
  }
  return { mode, presignTtlMs };
}

function readDigests(read: Reader): DigestAlgorithm[] {
  const wanted = new Set<DigestAlgorithm>(['md5']);
  const given = read.list('DIGESTS');
  // Clients of the older API know a file by its SHA-1 alone.
  for (const name of given.length > 0 ? given : ['sha1']) {
    const algorithm = DIGEST_ALGORITHMS.find((known) => known === name.toLowerCase());
    if (algorithm) wanted.add(algorithm);
    else read.problem('DIGESTS', `must be a list of ${DIGEST_ALGORITHMS.join(', ')}; ${quote(name)} is none of them`);
  }
  return [...wanted];
}

/** The default: all origins where tokens are needed, as a page can do nothing without one; otherwise none. */
function readCorsOrigins(read: Reader, tokensGiven: boolean): '*' | string[] {
  const given = read.list('CORS_ORIGINS');
  if (given.length === 0) return tokensGiven ? '*' : [];
  if (given.length === 1 && given[0] === '*') return '*';
  return given.flatMap((text) => {
    const origin = parseOrigin(text);
    if (origin !== undefined) return [origin];
    read.problem(
      'CORS_ORIGINS',
      `must be * alone or a list of origins such as https://app.example.org; ${quote(text)} is none`,
    );
    return [];
  });
}

/** RFC 9110 section 5.6.2: a header's name is a token. */
function readCorsHeaders(read: Reader): string[] {
  const given = read.list('CORS_HEADERS');
  for (const name of given) {
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name) && name !== '*') continue;
    read.problem('CORS_HEADERS', `must be a list of names of headers such as X-Tenant; ${quote(name)} is none`);
  }
  return given;
}

function namesOrigins(origins: '*' | readonly string[]): boolean {
  return origins !== '*' && origins.length > 0;
}

function checkProxies(proxies: readonly string[], read: Reader): void {
  for (const proxy of proxies) {
    if (isProxyRange(proxy)) continue;
    read.problem(
      'TRUST_PROXY',
      `must be a list of loopback, addresses or ranges such as 10.0.0.0/8; ${quote(proxy)} is none`,
    );
  }
}

function checkAccess(config: Config, tokensGiven: boolean, read: Reader): void {
  const auth = read.optional('AUTH')?.toLowerCase();
  if (auth !== undefined && auth !== 'off') read.problem('AUTH', `must be off or not set, not ${quote(auth)}`);
  if (auth === 'off' && tokensGiven) read.problem('AUTH', 'is off although AUTH_TOKENS is set: unset one of them');
  if (tokensGiven || auth === 'off') return;
  const remedy = 'set AUTH_TOKENS, or AUTH=off to let anyone in';
  if (!isLoopback(config.listen)) {
    read.problem('LISTEN', `${config.listen} can be reached from other machines: ${remedy}`);
  }
  // Through a proxy in front of it, others reach the service whatever address it listens on.
  if (config.publicUrl !== null) read.problem('PUBLIC_URL', `says that others reach the service: ${remedy}`);
  const { trustProxy } = config;
  if (trustProxy.length > 0 && trustProxy.every(isProxyRange))
    read.problem('TRUST_PROXY', `says that others reach the service: ${remedy}`);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
