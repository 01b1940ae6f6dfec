/** Connections to a database, as all that is done with a catalog needs them. */
import { Kysely } from 'kysely';
import { Client, type ClientConfig, Pool, TypeOverrides, types } from 'pg';
import { CatalogError } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { nameOf } from './address.ts';
import { createPostgresDialect } from './driver.ts';
import { hasNoTls, toCatalogError } from './errors.ts';
import { readTls } from './tls.ts';

/** For a connection to be made, or given back by whoever has it. */
const CONNECT_TIMEOUT_MS = 10_000;
/** No answer for so long: the connection is taken for lost. */
const QUERY_TIMEOUT_MS = 30_000;

export interface PostgresAddress {
  /** `postgres://user:password@host:port/database`; of a pooler, where there is one. */
  url: string;
  /** Past a pooler, for what needs a session, and for migrations (`DATABASE_DIRECT_URL`). */
  directUrl?: string | null | undefined;
  /** Certificates in PEM that are trusted in place of the machine's. */
  ca?: string | null | undefined;
}

export interface ConnectOptions {
  /** The most connections of the pool. */
  poolSize?: number;
  /** 0: an answer may take as long as it takes. */
  queryTimeoutMs?: number | undefined;
  /** The pool goes past a pooler, too. */
  isDirect?: boolean;
}

export interface Connected {
  db: Kysely<Tables>;
  /** Of the catalog, for people. */
  name: string;
  /** How to make a connection beside the pool that is a session of its own, also where the pool goes through a pooler. */
  connection: ClientConfig;
  /**
   * Makes such a connection. It says when it has ended, by the event `end`.
   *
   * @throws CatalogError `unavailable`.
   */
  openSession: () => Promise<Client>;
  close: () => Promise<void>;
}

/** Connects when something is first asked for. @throws CatalogError `unavailable` when it is no address. */
export function connectTo(
  { url, directUrl, ca }: PostgresAddress,
  { poolSize = 1, queryTimeoutMs = QUERY_TIMEOUT_MS, isDirect = false }: ConnectOptions = {},
): Connected {
  const name = nameOf(url);
  const session = configOf(directUrl ?? url, ca ?? undefined, queryTimeoutMs);
  const pooled = isDirect ? session : configOf(url, ca ?? undefined, queryTimeoutMs);
  const pool = new Pool({ ...pooled.config, max: poolSize });

  /** Whether another try may succeed, without TLS: `sslmode=prefer` allows that. */
  function goesWithout(error: unknown): boolean {
    if (!pooled.isTlsOptional || pool.options.ssl === false || !hasNoTls(error)) return false;
    pool.options.ssl = false;
    if (directUrl === undefined || directUrl === null) session.config.ssl = false;
    return true;
  }

  async function openSession(): Promise<Client> {
    const client = new Client(session.config);
    // Without a listener the process would end.
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

/** bigint as a number, as all of them are safe ones; the rest as pg has it. */
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
