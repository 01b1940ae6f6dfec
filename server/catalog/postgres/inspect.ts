/** Inspects a catalog in PostgreSQL, without changing it or disturbing services that use it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { CatalogError, NODE_DEAD_AFTER_MS } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { DATABASE_NOW } from './clock.ts';
import { checkServer, checkTableRights, NEWEST_SCHEMA, readFacts, readSchema } from './migrate.ts';
import { connectTo, type PostgresAddress } from './connect.ts';

/** How long to wait for a notification: it arrives at once, or never. */
const HEARD_WITHIN_MS = 2_000;

/** What the doctor reports of a catalog. */
export interface CatalogState {
  /** E.g. 15. */
  serverMajor: number;
  /** 0 where there are no tables yet. */
  schema: number;
  newestSchema: number;
  /** The nodes that have it open. */
  nodes: { name: string; isAlone: boolean }[];
}

/** Reads the state of a catalog. @throws CatalogError `unavailable`, saying why a service could not use it. */
export function inspectPostgresCatalog(address: PostgresAddress): Promise<CatalogState> {
  return looking(address, async (db, name) => {
    const facts = await readFacts(db);
    checkServer(facts, name);
    const schema = await readSchema(db, name);
    if (schema > 0) await checkTableRights(db, name);
    if (schema < NEWEST_SCHEMA) await checkCreateRight(db, name);
    const serverMajor = Math.floor(facts.version / 10_000);
    return { serverMajor, schema, newestSchema: NEWEST_SCHEMA, nodes: await readNodes(db, schema) };
  });
}

/** The catalog's id, and the store's place that it was used with; undefined where there are no tables yet. */
export function readBelonging(
  address: PostgresAddress,
): Promise<{ id: string; place: string | undefined } | undefined> {
  return looking(address, async (db, name) => {
    const id = await readId(db, name);
    if (id === undefined) return undefined;
    const place = await db.selectFrom('meta').select('value').where('key', '=', 'place').executeTakeFirst();
    return { id, place: place?.value };
  });
}

/** The catalog's id; undefined where there are no tables yet. */
export async function readId(db: Kysely<Tables>, name: string): Promise<string | undefined> {
  if ((await readSchema(db, name)) === 0) return undefined;
  return (await db.selectFrom('meta').select('value').where('key', '=', 'id').executeTakeFirst())?.value;
}

/** Whether notifications reach a connection that listens; through a pooler in transaction mode they do not. */
export async function hearsNotifications(address: PostgresAddress): Promise<boolean> {
  const { db, openSession, close } = connectTo(address);
  const session = await openSession();
  try {
    const channel = `tidemark_doctor_${randomUUID().replaceAll('-', '')}`;
    const heard = new Promise<boolean>((resolve) => session.once('notification', () => resolve(true)));
    await session.query(`listen ${channel}`);
    await sql`select pg_notify(${channel}, '')`.execute(db);
    return await Promise.race([heard, sleep(HEARD_WITHIN_MS, false, { ref: false })]);
  } finally {
    await session.end();
    await close();
  }
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

/** Lists the live nodes. Before schema 2, the table had no names of nodes. */
async function readNodes(db: Kysely<Tables>, schema: number): Promise<CatalogState['nodes']> {
  if (schema < 2) return [];
  const rows = await db
    .selectFrom('nodes')
    .select(['name', 'is_alone as isAlone'])
    .where('seen_at', '>', sql<number>`${DATABASE_NOW} - ${sql.lit(NODE_DEAD_AFTER_MS)}`)
    .orderBy('name')
    .execute();
  return rows.map(({ name, isAlone }) => ({ name, isAlone: isAlone === 1 }));
}
