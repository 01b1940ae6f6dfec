/** Connections to a database, for everything that works with a catalog. */
import { Kysely } from 'kysely';
import { Client, type ClientConfig, Pool, TypeOverrides, types } from 'pg';
import { CatalogError } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { nameOf } from './address.ts';
import { createPostgresDialect } from './driver.ts';
import { hasNoTls, toCatalogError } from './errors.ts';
import { readTls } from './tls.ts';

/** How long a query waits for a connection: for a new one, or for one that another query returns to the pool. */
const CONNECT_TIMEOUT_MS = 10_000;
/** After this long without an answer, the connection counts as lost. */
const QUERY_TIMEOUT_MS = 30_000;

/** Where a database is, and how to connect to it. */
export interface PostgresAddress {
  /** `postgres://user:password@host:port/database`; the pooler's, if one is used. */
  url: string;
  /** The address of the database itself, past a pooler: for sessions and for migrations (`DATABASE_DIRECT_URL`). */
  directUrl?: string | null | undefined;
  /** Certificates in PEM that are trusted in place of the machine's. */
  ca?: string | null | undefined;
}

/** How the connections are made. */
export interface ConnectOptions {
  /** The maximum number of connections. */
  poolSize?: number;
  /** 0: no limit. */
  queryTimeoutMs?: number | undefined;
  /** Whether the pool connects to `directUrl`, too. */
  isDirect?: boolean;
}

/** A pool of connections, and how to connect beside it. */
export interface Connected {
  db: Kysely<Tables>;
  /** The catalog's name in messages. */
  name: string;
  /** How to connect beside the pool, with a session of its own even where the pool connects through a pooler. */
  connection: ClientConfig;
  /**
   * Makes such a connection. It emits `end` when it has ended.
   *
   * @throws CatalogError `unavailable`.
   */
  openSession: () => Promise<Client>;
  close: () => Promise<void>;
}

/** Prepares the connections; the first query connects. @throws CatalogError `unavailable` where the address is invalid. */
export function connectTo(
  { url, directUrl, ca }: PostgresAddress,
  { poolSize = 1, queryTimeoutMs = QUERY_TIMEOUT_MS, isDirect = false }: ConnectOptions = {},
): Connected {
  const name = nameOf(url);
  const session = configOf(directUrl ?? url, ca ?? undefined, queryTimeoutMs);
  const pooled = isDirect ? session : configOf(url, ca ?? undefined, queryTimeoutMs);
  const pool = new Pool({ ...pooled.config, max: poolSize });

  /** Switches TLS off where the server has none, and `sslmode` allows that. @returns whether to connect again. */
  function goesWithout(error: unknown): boolean {
    if (!pooled.isTlsOptional || pool.options.ssl === false || !hasNoTls(error)) return false;
    pool.options.ssl = false;
    if (directUrl === undefined || directUrl === null) session.config.ssl = false;
    return true;
  }

  async function openSession(): Promise<Client> {
    const client = new Client(session.config);
    // Without a listener, an error would end the process.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (!session.isTlsOptional || session.config.ssl === false || !hasNoTls(error))
        throw toCatalogError(error, name, true);
      session.config.ssl = false;
      return openSession();
    }
  }

  const db = new Kysely<Tables>({ dialect: createPostgresDialect(pool, name, goesWithout) });
  return { db, name, connection: session.config, openSession, close: () => pool.end() };
}

function configOf(
  address: string,
  ca: string | undefined,
  queryTimeoutMs: number,
): { config: ClientConfig; isTlsOptional: boolean } {
  const { url, ssl, isOptional } = readTls(address, ca, nameOf(address));
  const config: ClientConfig = {
    connectionString: url,
    ssl,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    application_name: 'tidemark',
    types: createTypes(),
  };
  return { config, isTlsOptional: isOptional };
}

/** Reads bigint as a number: the catalog stores only safe integers. All other types are read as pg reads them. */
function createTypes(): TypeOverrides {
  const overrides = new TypeOverrides();
  overrides.setTypeParser(types.builtins.INT8, readBigint);
  return overrides;
}

function readBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new CatalogError('failed', `the catalog has ${text}, which is no safe integer`);
  return value;
}
