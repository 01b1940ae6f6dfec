/** Connections to a database, as all that is done with a catalog needs them. */
import { Kysely } from 'kysely';
import { type ClientConfig, Pool, TypeOverrides, types } from 'pg';
import { CatalogError } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { nameOf } from './address.ts';
import { createPostgresDialect } from './driver.ts';

/** For a connection to be made, or given back by whoever has it. */
const CONNECT_TIMEOUT_MS = 10_000;
/** No answer for so long: the connection is taken for lost. */
const QUERY_TIMEOUT_MS = 30_000;

export interface Connected {
  db: Kysely<Tables>;
  /** Of the catalog, for people. */
  name: string;
  /** How to make a connection beside the pool. */
  connection: ClientConfig;
  close: () => Promise<void>;
}

/**
 * Connects when something is first asked for.
 *
 * @param queryTimeoutMs - 0: an answer may take as long as it takes.
 * @throws CatalogError `unavailable` when it is no address.
 */
export function connectTo(
  url: string,
  poolSize: number,
  { queryTimeoutMs = QUERY_TIMEOUT_MS }: { queryTimeoutMs?: number } = {},
): Connected {
  const name = nameOf(url);
  const connection: ClientConfig = {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    application_name: 'tidemark',
    types: createTypes(),
  };
  const pool = new Pool({ ...connection, max: poolSize });
  const db = new Kysely<Tables>({ dialect: createPostgresDialect(pool, name) });
  return { db, name, connection, close: () => pool.end() };
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
