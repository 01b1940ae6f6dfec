/** Brings a database to the newest schema. */
import { type Kysely, sql } from 'kysely';
import { CatalogError } from '../catalog.ts';
import type { Tables } from '../schema.ts';
import { MIGRATION_LOCK } from './locks.ts';
import { initial } from './migrations/0001-initial.ts';
import { nodes } from './migrations/0002-nodes.ts';
import { removals } from './migrations/0003-removals.ts';
import { functions } from './migrations/0004-functions.ts';
import { numberEvents } from './migrations/0005-number-events.ts';
import { nameGrams } from './migrations/0006-name-grams.ts';
import { asks } from './migrations/0007-asks.ts';
import { partials } from './migrations/0008-partials.ts';
import { expectedSize } from './migrations/0009-expected-size.ts';
import { proofs } from './migrations/0010-proofs.ts';
import { namePieces } from './migrations/0011-name-pieces.ts';
import { links } from './migrations/0012-links.ts';
import { folders } from './migrations/0013-folders.ts';
import { namesInFolders } from './migrations/0014-names-in-folders.ts';
import { trash } from './migrations/0015-trash.ts';
import { linkFolders } from './migrations/0016-link-folders.ts';
import { uploadLinks } from './migrations/0017-upload-links.ts';

/** Statements, or what needs more than statements. */
type Migration = string | ((trx: Kysely<Tables>) => Promise<void>);

/** In order; a migration is never changed once landed. */
const MIGRATIONS: readonly Migration[] = [
  initial,
  nodes,
  removals,
  functions,
  numberEvents,
  nameGrams,
  asks,
  partials,
  expectedSize,
  proofs,
  namePieces,
  links,
  folders,
  namesInFolders,
  trash,
  linkFolders,
  uploadLinks,
];

/** The schema that this code writes. */
export const NEWEST_SCHEMA = MIGRATIONS.length;

/** What a server reports about itself and the database. */
export interface ServerFacts {
  /** E.g. 150018 for 15.18. */
  version: number;
  encoding: string;
  /** Null: no schema of the search path exists. */
  schema: string | null;
  synchronousCommit: string;
  /** It is a standby, or the database or the user is set to read-only. */
  isReadOnly: boolean;
}

const OLDEST_VERSION = 140_000;

/** Checks that a service can use the server. @throws CatalogError `unavailable`, saying what has to be changed. */
export function checkServer(facts: ServerFacts, name: string): void {
  const { version, encoding, schema, synchronousCommit, isReadOnly } = facts;
  const refuse = (why: string) => new CatalogError('unavailable', `the catalog ${name} ${why}`);
  const major = Math.floor(version / 10_000);
  if (version < OLDEST_VERSION) throw refuse(`is on PostgreSQL ${major}, and 14 or newer is needed`);
  if (encoding !== 'UTF8') throw refuse(`has the encoding ${encoding}, and UTF8 is needed: create the database anew`);
  if (schema === null) throw refuse('has no schema for its tables: check the search_path of the database and the user');
  if (isReadOnly) throw refuse('can only be read: it is a standby, or default_transaction_read_only is on');
  if (synchronousCommit === 'off')
    throw refuse('does not wait for its disk: synchronous_commit is off for the database or the user, and must be on');
}

/**
 * Applies the migrations that are missing, in one transaction.
 *
 * @throws CatalogError `unavailable` when the server or the database cannot be used, the schema is newer than this
 *   code, or the database is another program's.
 */
export function migrate(db: Kysely<Tables>, name: string): Promise<void> {
  return db.transaction().execute(async (trx) => {
    checkServer(await readFacts(trx), name);
    // The operator's time limits are meant for statements that a request waits for.
    await sql.raw('set local statement_timeout = 0; set local lock_timeout = 0').execute(trx);
    // Services that start at once migrate one after the other. The lock is the transaction's: a pooler in transaction mode
    // does not keep a session.
    await sql`select pg_advisory_xact_lock(${sql.raw(MIGRATION_LOCK.join())})`.execute(trx);
    const schema = await readSchema(trx, name);
    if (schema === NEWEST_SCHEMA) {
      await checkTableRights(trx, name);
      return;
    }
    if (schema === 0) await sql`create table tidemark_schema (version integer not null)`.execute(trx);
    for (const migration of MIGRATIONS.slice(schema))
      await (typeof migration === 'string' ? sql.raw(migration).execute(trx) : migration(trx));
    const update = schema === 0 ? sql`insert into tidemark_schema values` : sql`update tidemark_schema set version =`;
    await sql`${update} (${sql.lit(NEWEST_SCHEMA)})`.execute(trx);
  });
}

/** Reads the facts that `checkServer` checks. */
export async function readFacts(executor: Kysely<Tables>): Promise<ServerFacts> {
  const { rows } = await sql<ServerFacts>`select
    current_setting('server_version_num')::integer as version,
    current_setting('server_encoding') as encoding,
    current_schema() as schema,
    current_setting('synchronous_commit') as "synchronousCommit",
    current_setting('transaction_read_only')::boolean as "isReadOnly"`.execute(executor);
  return rows[0] as ServerFacts;
}

/**
 * The schema of the database; 0 where it has no tables. Views do not count: extensions that providers install, such as
 * pg_stat_statements, have some.
 *
 * @throws CatalogError `unavailable` when it is newer than this code, or the database is another program's.
 */
export async function readSchema(executor: Kysely<Tables>, name: string): Promise<number> {
  // The information schema hides tables to which the user has no right.
  const { rows: tables } = await sql<{ name: string }>`select tablename as name from pg_tables
    where schemaname = current_schema()`.execute(executor);
  if (tables.length === 0) return 0;
  const refuse = (why: string) => new CatalogError('unavailable', `the catalog ${name} ${why}`);
  if (!tables.some((table) => table.name === 'tidemark_schema'))
    throw refuse('is a database of another program: create one for this service alone');
  const { rows } = await sql<{ version: number }>`select version from tidemark_schema`.execute(executor);
  const version = rows[0]?.version ?? 0;
  if (version <= NEWEST_SCHEMA) return version;
  throw refuse(
    `has schema ${version}, and this version of the service knows schemas up to ${NEWEST_SCHEMA}: ` +
      'start the version that wrote it, or a newer one',
  );
}

/** Checks the rights on existing tables. @throws CatalogError `unavailable` where the user may not read and change all. */
export async function checkTableRights(executor: Kysely<Tables>, name: string): Promise<void> {
  const { rows } = await sql<{ table: string; right: string }>`select tablename as "table", "right"
    from pg_tables, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as "right"
    where schemaname = current_schema()
      and not has_table_privilege(format('%I.%I', schemaname, tablename), "right")
    order by tablename limit 1`.execute(executor);
  const [missing] = rows;
  if (!missing) return;
  const why = `withholds a right that is needed: ${missing.right} on the table ${missing.table}`;
  throw new CatalogError('unavailable', `the catalog ${name} ${why}`);
}
