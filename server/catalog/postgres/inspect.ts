/** A look at a catalog in PostgreSQL that changes nothing and disturbs nobody. */
import { type Kysely, sql } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { SERVICE_LOCK } from './locks.ts';
import { checkServer, checkTableRights, NEWEST_SCHEMA, readFacts, readSchema } from './migrate.ts';
import { connectTo, type PostgresAddress } from './connect.ts';

export interface CatalogState {
  /** E.g. 15. */
  serverMajor: number;
  /** 0 where there are no tables yet. */
  schema: number;
  newestSchema: number;
  /** A service has it open. */
  isInUse: boolean;
}

/** @throws CatalogError `unavailable`, saying why a service could not use it. */
export function inspectPostgresCatalog(address: PostgresAddress): Promise<CatalogState> {
  return looking(address, async (db, name) => {
    const facts = await readFacts(db);
    checkServer(facts, name);
    const schema = await readSchema(db, name);
    if (schema > 0) await checkTableRights(db, name);
    if (schema < NEWEST_SCHEMA) await checkCreateRight(db, name);
    const serverMajor = Math.floor(facts.version / 10_000);
    return { serverMajor, schema, newestSchema: NEWEST_SCHEMA, isInUse: await isInUse(db) };
  });
}

/** The catalog's id, and the place it was used with; undefined where there are no tables yet. */
export function readBelonging(
  address: PostgresAddress,
): Promise<{ id: string; place: string | undefined } | undefined> {
  return looking(address, async (db, name) => {
    if ((await readSchema(db, name)) === 0) return undefined;
    const rows = await db.selectFrom('meta').select(['key', 'value']).where('key', 'in', ['id', 'place']).execute();
    const found = new Map(rows.map(({ key, value }) => [key, value]));
    const id = found.get('id');
    return id === undefined ? undefined : { id, place: found.get('place') };
  });
}

async function looking<Result>(
  address: PostgresAddress,
  look: (db: Kysely<Tables>, name: string) => Promise<Result>,
): Promise<Result> {
  const { db, name, close } = connectTo(address);
  try {
    return await look(db, name);
  } finally {
    await close();
  }
}

async function checkCreateRight(db: Kysely<Tables>, name: string): Promise<void> {
  const { rows } = await sql<{ schema: string; mayCreate: boolean }>`select current_schema() as schema,
    has_schema_privilege(current_schema(), 'CREATE') as "mayCreate"`.execute(db);
  const [found] = rows;
  if (found?.mayCreate) return;
  const why = `withholds a right that is needed: to create tables in the schema ${found?.schema}`;
  throw new CatalogError('unavailable', `the catalog ${name} ${why}`);
}

async function isInUse(db: Kysely<Tables>): Promise<boolean> {
  const [classId, objectId] = SERVICE_LOCK;
  const { rows } = await sql`select from pg_locks where locktype = 'advisory' and granted
    and database = (select oid from pg_database where datname = current_database())
    and classid = ${sql.lit(classId)} and objid = ${sql.lit(objectId)} and objsubid = 2`.execute(db);
  return rows.length > 0;
}
