/** TLS to a catalog in PostgreSQL, as `sslmode` in its address says: with the meaning of libpq. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogError } from '../../server/catalog/catalog.ts';
import { type PostgresAddress } from '../../server/catalog/postgres/connect.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { hasPostgres, type RunningPostgres, startPostgres } from '../harness/postgres.ts';
import { makeSelfSigned } from '../harness/self-signed.ts';
import { createDatabase, createDatabaseOf, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

/** For localhost, which it is its own CA of. */
const OURS = makeSelfSigned(30);
const ANOTHER = makeSelfSigned(30).cert;

describe.skipIf(!hasPostgres())('TLS to PostgreSQL', () => {
  let server: RunningPostgres;
  let database: TestDatabase;
  /** Of a server that has no TLS. */
  let plain: TestDatabase;

  beforeAll(async () => {
    server = await startPostgres({ certificate: OURS });
    database = await createDatabaseOf(server.port);
    plain = await createDatabase();
  });

  afterAll(async () => {
    await server.stop();
    await plain.drop();
  });

  beforeEach(() => server.certify(OURS));

  /** How a service is connected, or why it is not. */
  async function connect(
    to: TestDatabase,
    query: string,
    { ca, host = 'localhost' }: { ca?: string; host?: string } = {},
  ) {
    const url = new URL(to.url);
    url.hostname = host;
    url.search = query;
    const address: PostgresAddress = { url: url.href, ca };
    const catalog = await openPostgresCatalog({ ...address }).catch((error: CatalogError) => error);
    if (catalog instanceof Error) {
      expect(catalog.code).toBe('unavailable');
      return catalog.message;
    }
    const [found] = await to.run<{ ssl: boolean }>(`select ssl from pg_stat_ssl join pg_stat_activity using (pid)
      where application_name = 'tidemark' and datname = current_database()`);
    await catalog.close();
    return found?.ssl ? 'TLS' : 'plain';
  }

  it('is used where the server has it, as long as nothing is said, and not asked for a certificate', async () => {
    expect(await connect(database, '')).toBe('TLS');
    expect(await connect(database, 'sslmode=prefer')).toBe('TLS');
    expect(await connect(database, 'sslmode=require', { host: '127.0.0.1' })).toBe('TLS');
    expect(await connect(database, 'sslmode=disable')).toBe('plain');
    expect(await connect(plain, '')).toBe('plain');
    expect(await connect(plain, 'sslmode=allow')).toBe('plain');
  });

  it('is insisted on where it is asked for', async () => {
    for (const mode of ['require', 'verify-full'])
      expect(await connect(plain, `sslmode=${mode}`)).toContain(
        'offers no TLS, and sslmode in its address asks for it',
      );
  });

  it('verifies the CA, and with verify-full the name', async () => {
    const ca = OURS.cert;
    for (const mode of ['sslmode=verify-full', 'sslmode=verify-ca', 'sslmode=require', ''])
      expect(await connect(database, mode, { ca }), mode).toBe('TLS');
    for (const mode of ['sslmode=verify-ca', 'sslmode=require'])
      expect(await connect(database, mode, { ca, host: '127.0.0.1' }), mode).toBe('TLS');
    for (const mode of ['sslmode=verify-full', ''])
      expect(await connect(database, mode, { ca, host: '127.0.0.1' }), mode).toContain(
        'has a certificate of another name',
      );
    const untrusted = 'has a certificate that is not trusted here: name its CA in DATABASE_CA_FILE';
    expect(await connect(database, 'sslmode=verify-full')).toContain(untrusted);
    for (const mode of ['sslmode=verify-full', 'sslmode=verify-ca', 'sslmode=require', ''])
      expect(await connect(database, mode, { ca: ANOTHER }), mode).toContain(untrusted);
  });

  it('refuses a certificate that has expired', async () => {
    const expired = makeSelfSigned(-1);
    await server.certify(expired);
    const connectExpired = () => connect(database, 'sslmode=verify-full', { ca: expired.cert });
    await expect.poll(connectExpired).toContain('has a certificate that has expired');
  });

  it('takes the CA from the address, and says what is wrong with that', async () => {
    const file = join(await makeTempFolder(), 'ca.pem');
    await writeFile(file, OURS.cert);
    expect(await connect(database, `sslmode=verify-full&sslrootcert=${file}`)).toBe('TLS');
    expect(await connect(database, `sslrootcert=${file}`, { host: '127.0.0.1' })).toContain('of another name');
    expect(await connect(database, 'sslrootcert=/nowhere')).toContain(
      'names a file in sslrootcert that cannot be read (ENOENT)',
    );
    expect(await connect(database, 'sslmode=verify-ca')).toContain('needs a CA of your own');
    expect(await connect(database, 'sslmode=no-verify')).toContain(
      'has an sslmode that is none of disable, allow, prefer',
    );
  });
});
