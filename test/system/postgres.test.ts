/** A whole service on a catalog in PostgreSQL, with its files in a folder. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { diagnose, diagnoseHere } from '../harness/doctor.ts';
import { hasPgbouncer, startPgbouncer } from '../harness/pgbouncer.ts';
import { hasPostgres, PASSWORD, type RunningPostgres, startPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase, createDatabaseOf, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { refusal, refusalHere } from './refused-start-support.ts';
import { answered, expectBytes, listFiles, offsetOf, openPatch, until, writtenBytes } from './support.ts';

const bytes = makeBytes(3 * 1024 * 1024, 970);
const half = bytes.length / 2;
const name = `${md5(bytes)}.bin`;

async function start(env: NodeJS.ProcessEnv): Promise<RunningService> {
  const service = await startService({ env });
  onTestFinished(() => service.stop());
  return service;
}

describe.skipIf(!hasPostgres())('a service on PostgreSQL', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase();
  });

  afterEach(() => database.drop());

  test('takes a file over a kill in its middle, serves, lists and deletes it', async () => {
    const service = await start({ DATABASE_URL: database.url });
    const location = await createUpload(service.url, bytes.length, { filename: 'a.bin' });
    expect((await patch(location, 0, bytes.subarray(0, half))).status).toBe(204);
    await service.restart();
    expect(await offsetOf(location)).toBe(half);
    expect((await patch(location, half, bytes.subarray(half))).status).toBe(204);
    await service.restart();
    const [file] = await listFiles(service);
    expect(file).toMatchObject({ name: 'a.bin', md5: md5(bytes), size: bytes.length });
    await expectBytes(`${service.url}/files/${name}`, bytes);
    expect(bytes.equals(await readFile(join(service.dataDir, 'files', name)))).toBe(true);
    expect((await fetch(`${service.url}/api/files/${file?.id}`, { method: 'DELETE' })).status).toBe(204);
    expect(await listFiles(service)).toEqual([]);
    expect(await service.kill('SIGTERM')).toBe(0);
    expect(service.output()).not.toMatch(/"level":[56]0/);
  });

  test('is one at a time, and the catalog belongs to its folder', async () => {
    const service = await start({ DATABASE_URL: database.url });
    expect((await fetch(`${service.url}/files`)).status).toBeLessThan(500);
    expect(await refusal(await makeTempFolder(), { DATABASE_URL: database.url })).toContain(
      'is in use by another service',
    );
    const location = await createUpload(service.url, bytes.length, { filename: 'a.bin' });
    expect((await patch(location, 0, bytes)).status).toBe(204);
    await service.kill('SIGKILL');
    expect(await refusal(await makeTempFolder(), { DATABASE_URL: database.url })).toContain(
      'its disk may not be mounted',
    );
    expect(await refusal(service.dataDir, {})).toContain('belongs to another catalog');
    await service.restart();
    expect(await listFiles(service)).toHaveLength(1);
  });

  test('never tells its password, and takes it from a file', async () => {
    const folder = await makeTempFolder();
    const file = join(folder, 'url');
    await writeFile(file, database.url);
    const service = await start({ DATABASE_URL_FILE: file, DATABASE_POOL: '3', LOG_LEVEL: 'trace' });
    const location = await createUpload(service.url, 10, { filename: 'a.bin' });
    expect((await patch(location, 0, bytes.subarray(0, 10))).status).toBe(204);
    const wrong = database.url.replace(PASSWORD, `${PASSWORD}-not`);
    const said = [
      service.output(),
      await refusal(await makeTempFolder(), { DATABASE_URL: wrong }),
      (await diagnose(folder, { DATABASE_URL: wrong })).output,
      (await diagnose(service.dataDir, { DATABASE_URL_FILE: file })).output,
    ].join('\n');
    expect(said).toContain('refuses the password');
    for (const secret of [PASSWORD, decodeURIComponent(PASSWORD)]) expect(said).not.toContain(secret);
  });

  test('says what is wrong with it, at the start and in the doctor', async () => {
    const folder = await makeTempFolder();
    const url = (query: string): NodeJS.ProcessEnv => ({ DATABASE_URL: `${database.url}${query}` });
    await (await openPostgresCatalog({ url: database.url })).close();
    await database.run('update tidemark_schema set version = 99');
    for (const [env, sentence] of [
      [url('?sslmode=verify-full'), 'offers no TLS, and sslmode in its address asks for it'],
      [url(''), 'has schema 99, and this version of the service knows schemas up to'],
    ] as const) {
      expect(await refusalHere(folder, env)).toContain(sentence);
      const { exitCode, step } = await diagnoseHere(folder, env);
      expect(step('catalog')).toMatchObject({ status: 'failed', found: expect.stringContaining(sentence) });
      expect(exitCode).toBe(1);
    }
  });

  test.skipIf(!hasPgbouncer())(
    'holds no connection while bytes flow: one is enough, through a pooler, too',
    async () => {
      const bouncer = await startPgbouncer(database.port);
      onTestFinished(() => bouncer.stop());
      const service = await start({
        DATABASE_URL: bouncer.urlOf(database.name),
        DATABASE_DIRECT_URL: database.url,
        DATABASE_POOL: '1',
      });
      const open = await Promise.all(
        [1, 2, 3, 4].map(async (each) => {
          const location = await createUpload(service.url, bytes.length, { filename: `${each}.bin` });
          const transfer = openPatch(location, 0, bytes.length);
          await transfer.write(bytes.subarray(0, half));
          await until('half of it is written', async () => (await writtenBytes(service, location)) === half);
          return transfer;
        }),
      );
      expect(await listFiles(service)).toEqual([]);
      const inTransaction = `select from pg_stat_activity where datname = current_database() and state like '%in transaction%'`;
      // A job may have one for a moment.
      await expect.poll(() => database.run(inTransaction)).toEqual([]);
      await Promise.all(open.map((transfer) => transfer.write(bytes.subarray(half))));
      for (const transfer of open) transfer.end();
      for (const transfer of open) expect((await answered(transfer)).status).toBe(204);
      expect(await listFiles(service)).toHaveLength(4);
      await expectBytes(`${service.url}/files/${name}`, bytes);
      const { step } = await diagnoseHere(service.dataDir, { DATABASE_URL: bouncer.urlOf(database.name) });
      expect(step('notifications')?.change).toContain('set DATABASE_DIRECT_URL');
    },
  );

  test('is looked at by the doctor', async () => {
    const folder = await makeTempFolder();
    const env = { DATABASE_URL: database.url };
    const before = await diagnoseHere(folder, env);
    expect(before.step('catalog')).toMatchObject({ status: 'ok', found: expect.stringContaining('no tables yet') });
    const service = await start(env);
    const running = await diagnose(service.dataDir, env);
    expect(running.step('catalog')?.found).toMatch(
      /^a running service has it open \(.+\), with STORE=local: another one is refused, PostgreSQL \d+, schema (\d+) of \1$/,
    );
    expect(running.step('belonging')).toMatchObject({ status: 'ok', found: 'the same' });
    expect(running.exitCode).toBe(0);
    const elsewhere = await diagnoseHere(folder, { DATABASE_URL: database.url.replace(database.name, 'nowhere') });
    expect(elsewhere.step('catalog')).toMatchObject({
      status: 'failed',
      found: expect.stringContaining('does not exist'),
    });
    expect(elsewhere.exitCode).toBe(1);
  });
});

describe.skipIf(!hasPostgres())('while PostgreSQL is away', () => {
  let server: RunningPostgres;

  beforeEach(async () => {
    server = await startPostgres();
  });

  afterEach(() => server.stop());

  test('a service answers 503 with Retry-After, loses nothing, and goes on', async () => {
    const { url } = await createDatabaseOf(server.port);
    const service = await start({ DATABASE_URL: url });
    const location = await createUpload(service.url, bytes.length, { filename: 'a.bin' });
    expect((await patch(location, 0, bytes.subarray(0, half))).status).toBe(204);
    await server.kill();
    const answer = await fetch(`${service.url}/api/files`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(await answer.json()).toMatchObject({ error: { code: 'store_unavailable' } });
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    const refused = await patch(location, half, bytes.subarray(half));
    expect(refused.status).toBe(503);
    await server.restart();
    await expect.poll(async () => (await fetch(`${service.url}/readyz`)).status).toBe(200);
    const offset = await offsetOf(location);
    expect(offset).toBeGreaterThanOrEqual(half);
    expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    await expectBytes(`${service.url}/files/${name}`, bytes);
    await server.kill();
    expect(await service.kill('SIGTERM')).toBe(0);
  });
});
