/** What keeps a catalog in PostgreSQL from being opened: each in a sentence, and none with the password. */
import { inspect } from 'node:util';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CatalogError } from '../../server/catalog/catalog.ts';
import { MIGRATION_LOCK } from '../../server/catalog/postgres/locks.ts';
import { checkServer, NEWEST_SCHEMA, type ServerFacts } from '../../server/catalog/postgres/migrate.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { freePort } from '../harness/ports.ts';
import { hasPostgres, PASSWORD } from '../harness/postgres.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';

describe.skipIf(!hasPostgres())('a catalog in PostgreSQL', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase();
  });

  afterEach(() => database.drop());

  /** What opening it says. */
  async function refusalOf(url = database.url): Promise<string> {
    const error: unknown = await openPostgresCatalog({ url }).then(
      (catalog) => catalog.close(),
      (failure: unknown) => failure,
    );
    if (!(error instanceof CatalogError)) throw new Error(`not refused: ${inspect(error)}`);
    expect(error.code).toBe('unavailable');
    // With its causes, as a log shows it.
    const shown = inspect(error, { depth: 10, showHidden: true });
    for (const secret of [PASSWORD, decodeURIComponent(PASSWORD), 'wrong-word']) expect(shown).not.toContain(secret);
    return error.message;
  }

  const changed = (change: (url: URL) => void): string => {
    const url = new URL(database.url);
    change(url);
    return url.href;
  };

  it('is made once by services that start at once, and opened again', async () => {
    const { url } = database;
    const catalogs = await Promise.all(Array.from({ length: 4 }, () => openPostgresCatalog({ url, poolSize: 2 })));
    const ids = await Promise.all(catalogs.map((catalog) => catalog.id()));
    expect(ids[0]).toMatch(/^[\da-f]{32}$/);
    expect(new Set(ids).size).toBe(1);
    expect(await catalogs[0]?.eventSecret()).not.toBe(ids[0]);
    await Promise.all(catalogs.map((catalog) => catalog.close()));
    const again = await openPostgresCatalog({ url });
    expect(await again.id()).toBe(ids[0]);
    await again.close();
    await expect(again.ping()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('closed'),
    });
  });

  it('is refused where no server answers', async () => {
    const port = await freePort();
    const refusal = await refusalOf(changed((url) => (url.port = String(port))));
    expect(refusal).toContain(`the catalog postgres://postgres@127.0.0.1:${port}/${database.name} cannot be reached`);
  });

  it('is refused with a wrong password, an unknown user, an unknown database', async () => {
    expect(await refusalOf(changed((url) => (url.password = 'wrong-word')))).toContain('refuses the password');
    expect(await refusalOf(changed((url) => (url.username = 'nobody')))).toContain('refuses the password');
    expect(await refusalOf(changed((url) => (url.pathname = '/nowhere')))).toContain('does not exist');
  });

  it('is refused where the address is none of PostgreSQL', async () => {
    for (const url of [`mysql://a:wrong-word@host/db`, 'postgres://a:wrong-word@:x', 'wrong-word'])
      expect(await refusalOf(url)).toContain('is not postgres://user:password@host:port/database');
  });

  it('is refused to a user who may not make its tables, or not even connect', async () => {
    const guest = `guest_${database.name}`;
    await database.run(`create role ${guest} login password '${decodeURIComponent(PASSWORD)}';
      revoke create on schema public from public`);
    const url = changed((given) => (given.username = guest));
    try {
      expect(await refusalOf(url)).toContain('withholds a right that is needed (42501: permission denied for schema');
      await database.run(`revoke connect on database ${database.name} from public`);
      expect(await refusalOf(url)).toContain('withholds a right that is needed (42501: permission denied for database');
    } finally {
      await database.run(`drop role ${guest}`);
    }
  });

  it('is refused where it can only be read, or does not wait for its disk', async () => {
    await database.run(`alter database ${database.name} set synchronous_commit = off`);
    expect(await refusalOf()).toContain('synchronous_commit is off');
    await database.run(`alter database ${database.name} set synchronous_commit = on;
      alter database ${database.name} set default_transaction_read_only = on`);
    expect(await refusalOf()).toContain('can only be read');
  });

  it('is refused where it can only be read, also when its tables are there', async () => {
    await (await openPostgresCatalog({ url: database.url })).close();
    await database.run(`alter database ${database.name} set default_transaction_read_only = on`);
    expect(await refusalOf()).toContain('can only be read: it is a standby, or default_transaction_read_only is on');
  });

  it('is refused to a user who may not change its tables, or not see them', async () => {
    await (await openPostgresCatalog({ url: database.url })).close();
    const guest = `guest_${database.name}`;
    await database.run(`create role ${guest} login password '${decodeURIComponent(PASSWORD)}'`);
    const url = changed((given) => (given.username = guest));
    try {
      expect(await refusalOf(url)).toContain('withholds a right that is needed (42501: permission denied for table');
      await database.run(`grant select, insert, update, delete on all tables in schema public to ${guest};
        revoke delete on files from ${guest}`);
      expect(await refusalOf(url)).toContain('withholds a right that is needed: DELETE on the table files');
      await database.run(`grant delete on files to ${guest}`);
      await (await openPostgresCatalog({ url })).close();
    } finally {
      await database.run(`drop owned by ${guest}; drop role ${guest}`);
    }
  });

  it('waits for another service that brings it up to date, whatever the database allows to statements', async () => {
    // A busy machine may take a second for a statement that waits for nothing.
    await database.run(`alter database ${database.name} set statement_timeout = 2000;
      alter database ${database.name} set lock_timeout = 2000`);
    const other = new Client({ connectionString: database.url });
    await other.connect();
    await other.query(`begin; set local statement_timeout = 0; select pg_advisory_xact_lock(${MIGRATION_LOCK.join()})`);
    const opening = openPostgresCatalog({ url: database.url });
    opening.catch(() => undefined);
    await other.query('select pg_sleep(2.5)');
    await other.query('commit');
    await other.end();
    await (await opening).close();
  });

  it('is refused with another encoding, and without a schema for its tables', async () => {
    const other = await createDatabase(`template template0 encoding 'SQL_ASCII' locale 'C'`);
    expect(await refusalOf(other.url)).toContain('has the encoding SQL_ASCII, and UTF8 is needed');
    await other.drop();
    await database.run(`alter database ${database.name} set search_path = nowhere`);
    expect(await refusalOf()).toContain('has no schema for its tables');
  });

  it('is refused where it is another program’s, and stays as it is', async () => {
    await database.run('create table theirs (id integer)');
    expect(await refusalOf()).toContain('is a database of another program');
    const tables = await database.run(`select 1 from pg_tables where schemaname = 'public'`);
    expect(tables).toHaveLength(1);
  });

  it('is made beside the views of an extension', async () => {
    await database.run('create view statements as select 1 as calls');
    await (await openPostgresCatalog({ url: database.url })).close();
  });

  it('is refused where a newer version of the service has written it', async () => {
    await (await openPostgresCatalog({ url: database.url })).close();
    await database.run('update tidemark_schema set version = 99');
    expect(await refusalOf()).toContain(
      `has schema 99, and this version of the service knows schemas up to ${NEWEST_SCHEMA}`,
    );
  });

  it('is refused on a server older than 14', () => {
    const facts: ServerFacts = {
      version: 140_000,
      encoding: 'UTF8',
      schema: 'public',
      synchronousCommit: 'on',
      isReadOnly: false,
    };
    expect(() => checkServer(facts, 'x')).not.toThrow();
    expect(() => checkServer({ ...facts, version: 130_022 }, 'x')).toThrow(
      'the catalog x is on PostgreSQL 13, and 14 or newer is needed',
    );
  });
});
