/** A catalog and a bucket that do not belong together: refused, and nothing is lost by the attempt. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { putFile } from '../http/support.ts';
import { BUCKETS, MARK, PREFIX, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes } from '../harness/bytes.ts';
import { diagnose, diagnoseHere } from '../harness/doctor.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { refusal, refusalHere, startAndStopHere } from './refused-start-support.ts';
import { expectBytes, offsetOf } from './support.ts';

// Services of this process reach the double of OSS by its name.
await import(RESOLVE_HERE);

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

const whole = makeBytes(70_000, 141);
const part = makeBytes(90_000, 142);

/** The id of a catalog that no service has open. */
function idIn(dataDir: string): string {
  const database = new Database(join(dataDir, 'catalog.db'));
  const { value } = database.prepare("SELECT value FROM meta WHERE key = 'id'").get() as { value: string };
  database.close();
  return value;
}

describe.each(BUCKETS)('a bucket of $name', ({ missing, start }) => {
  // All tests share one service, which loses nothing by any of them.
  describe.skipIf(missing !== undefined)('belongs to one catalog', () => {
    let bucket: SystemBucket;
    let proxy: FaultProxy;
    let service: RunningService;
    /** Of a published file, and of an upload of 40,000 bytes. */
    let published: string;
    let unfinished: string;
    /** Of the objects of both. */
    let keys: string[];
    /** Of its catalog. */
    let id: string;

    beforeAll(async () => {
      bucket = await start();
      proxy = await startFaultProxy({ toPort: bucket.port });
      service = await startService({ env: bucket.env() });
      published = (await putFile(service.url, whole, { filename: 'whole' })).url;
      unfinished = await beginUpload();
      await service.kill('SIGTERM');
      keys = await bucket.keys();
      id = idIn(service.dataDir);
    });
    afterEach(async () => {
      proxy.clear();
      await expectKeys();
    });
    afterAll(async () => {
      await service.stop();
      await proxy.stop();
      await bucket.stop();
    });

    async function beginUpload(): Promise<string> {
      const location = await createUpload(service.url, part.length);
      expect((await patch(location, 0, part.subarray(0, 40_000))).status).toBe(204);
      return location;
    }

    async function expectKeys(): Promise<void> {
      expect(await bucket.keys()).toEqual(keys);
    }

    /** The service still has the file and the upload, by its catalog and by the bucket. */
    async function expectAll(): Promise<void> {
      await expectBytes(published, whole);
      expect(await offsetOf(unfinished)).toBe(40_000);
    }

    /** An installation from before there were marks: the bucket has none, and the catalog knows of none. */
    async function forgetMark(): Promise<void> {
      await bucket.remove(PREFIX + MARK);
      const database = new Database(join(service.dataDir, 'catalog.db'));
      database.exec("DELETE FROM meta WHERE key = 'place'");
      database.close();
    }

    test('which marks it, and needs one answer at its next start', async () => {
      expect(await bucket.mark()).toBe(id);
      const before = proxy.calls().length;
      await startAndStopHere(service.dataDir, bucket.env(proxy.port));
      const asked = proxy.calls().slice(before);
      expect(asked.filter(({ key }) => key.endsWith(MARK)).map(({ operation }) => operation)).toEqual(['GetObject']);
    });

    test('though the catalog was once used with a folder, before buckets had marks', async () => {
      await forgetMark();
      const database = new Database(join(service.dataDir, 'catalog.db'));
      database.exec("INSERT INTO meta (key, value) VALUES ('place', '/some/folder/files')");
      database.close();
      await startAndStopHere(service.dataDir, bucket.env());
      expect(await bucket.mark()).toBe(id);
    });

    test('which of two services that meet it empty is the one that marks it first', async () => {
      const S3_PREFIX = 'empty/';
      const put = proxy.place({ operation: 'PutObject', key: S3_PREFIX + MARK, fault: { kind: 'stall' } });
      const refused = refusalHere(await makeTempFolder(), { ...bucket.env(proxy.port), S3_PREFIX });
      await put.hit;
      const first = await makeTempFolder();
      await startAndStopHere(first, { ...bucket.env(), S3_PREFIX });
      put.remove();
      expect(await refused).toContain('was written by another service at the same time');
      expect(await bucket.mark(S3_PREFIX)).toBe(idIn(first));
      await startAndStopHere(first, { ...bucket.env(), S3_PREFIX });
    });

    test('where nothing says whose the files are: a new one is refused, and that of before marks it at its next start', async () => {
      await forgetMark();
      const said = await refusalHere(await makeTempFolder(), bucket.env());
      for (const told of ['has files, and the catalog', 'is a new one', '--adopt']) expect(said).toContain(told);
      expect(await bucket.mark()).toBeUndefined();
      const { step } = await diagnoseHere(service.dataDir, bucket.env());
      expect(step('belonging')).toMatchObject({ status: 'ok', found: 'the next start gives the bucket its id' });
      await service.restart();
      expect(await bucket.mark()).toBe(id);
      await expectAll();
    });

    test('a new catalog is refused, and none is made', async () => {
      const folder = await makeTempFolder();
      const said = await refusal(folder, bucket.env());
      for (const told of [
        `/${PREFIX} belongs to another catalog than`,
        join(folder, 'catalog.db'),
        'S3_PREFIX',
        '--adopt',
      ])
        expect(said).toContain(told);
      expect(await readdir(folder)).toEqual([]);
      const { exitCode, step } = await diagnose(folder, bucket.env());
      expect(step('belonging')).toMatchObject({ status: 'failed', found: 'the bucket belongs to another catalog' });
      expect(exitCode).toBe(1);
      await expectAll();
    });

    test('another catalog is refused, with files elsewhere', async () => {
      const other = await startService({ env: { ...bucket.env(), S3_PREFIX: 'other/' } });
      onTestFinished(() => other.stop());
      await putFile(other.url, makeBytes(1_000, 143), { filename: 'of the other' });
      await other.kill('SIGTERM');
      expect(await refusalHere(other.dataDir, bucket.env())).toContain('belongs to another catalog than');
      await expectAll();
    });

    test('an answer that is lost, or that denies the mark, costs nobody the bucket', async () => {
      const folder = await makeTempFolder();
      // The look before the opening fails; the one after it decides.
      proxy.place({ operation: 'GetObject', fault: { kind: 'loseAnswer' } });
      expect(await refusalHere(folder, bucket.env(proxy.port))).toContain('belongs to another catalog');
      proxy.place({
        operation: 'GetObject',
        times: Infinity,
        fault: { kind: 'answer', status: 404, code: 'NoSuchKey' },
      });
      expect(await refusalHere(folder, bucket.env(proxy.port))).toContain('is listed, and was not found');
      expect(await bucket.mark()).toBe(id);
      await expectAll();
    });

    test('an answer that breaks off while the mark is read is asked for again', async () => {
      const folder = await makeTempFolder();
      proxy.place({ operation: 'GetObject', times: 2, fault: { kind: 'cutAnswer', afterBytes: 5 } });
      expect(await refusalHere(folder, bucket.env(proxy.port))).toContain('belongs to another catalog');
      proxy.place({ operation: 'GetObject', times: Infinity, fault: { kind: 'cutAnswer', afterBytes: 5 } });
      expect(await refusalHere(folder, bucket.env(proxy.port))).toContain('.tidemark-id');
      await expectAll();
    });

    test('a bucket that has lost its mark, or its files, is refused', async () => {
      await service.kill('SIGTERM');
      await bucket.remove(PREFIX + MARK);
      expect(await refusalHere(service.dataDir, bucket.env())).toContain('does not say that it belongs to the catalog');
      const elsewhere = { ...bucket.env(), S3_PREFIX: 'elsewhere/' };
      expect(await refusalHere(service.dataDir, elsewhere)).toContain('S3_BUCKET or S3_PREFIX may name another one');
      await startAndStopHere(service.dataDir, bucket.env(), true);
      await service.restart();
      await expectAll();
    });

    test('--adopt gives it to another catalog; the one before is refused then, and can have it back', async () => {
      await service.kill('SIGTERM');
      const adopted = await startService({ env: bucket.env(), args: ['--adopt'] });
      onTestFinished(() => adopted.stop());
      expect(adopted.output()).toContain('the bucket belongs to this catalog from now on');
      await adopted.kill('SIGTERM');
      expect(await bucket.mark()).toBe(idIn(adopted.dataDir));
      expect(await refusalHere(service.dataDir, bucket.env())).toContain('belongs to another catalog');
      await expectKeys();
      await startAndStopHere(service.dataDir, bucket.env(), true);
      await service.restart();
      await expectAll();
    });

    test('whose upload is continued after all of that', async () => {
      expect((await patch(unfinished, 40_000, part.subarray(40_000))).status).toBe(204);
      await expectBytes(unfinished, part);
      keys = await bucket.keys();
    });
  });
});

describe.skipIf(!hasPostgres())('a bucket whose catalog is in PostgreSQL', () => {
  let bucket: SystemBucket;
  let own: TestDatabase;
  let other: TestDatabase;

  beforeAll(async () => {
    const double = BUCKETS.find(({ name }) => name === 'OSS');
    if (!double) throw new Error('no double of OSS');
    bucket = await double.start();
    [own, other] = await Promise.all([createDatabase(), createDatabase()]);
  });
  afterAll(async () => {
    await bucket.stop();
    await Promise.all([own.drop(), other.drop()]);
  });

  test('has one for all its nodes, and refuses each other one, a new one too', async () => {
    const settings = ({ url }: TestDatabase) => ({ ...bucket.env(), DATABASE_URL: url });
    // Both meet the empty bucket at the same moment.
    const nodes = await Promise.all([startService({ env: settings(own) }), startService({ env: settings(own) })]);
    const [first, second] = nodes;
    try {
      const { url } = await putFile(first.url, whole, { filename: 'whole' });
      await expectBytes(url.replace(first.url, second.url), whole);
      const folder = await makeTempFolder();
      const said = await refusalHere(folder, settings(other));
      expect(said).toContain(`/${PREFIX} belongs to another catalog than`);
      expect(said).toContain(other.name);
      const { exitCode, step } = await diagnoseHere(folder, settings(other));
      expect(step('belonging')).toMatchObject({ status: 'failed', found: 'the bucket belongs to another catalog' });
      expect(exitCode).toBe(1);
      expect((await diagnoseHere(folder, settings(own))).step('belonging')).toMatchObject({
        status: 'ok',
        found: 'the same',
      });
      // Also one that was used with another bucket.
      await startAndStopHere(folder, { ...settings(other), S3_PREFIX: 'elsewhere/' });
      expect(await refusalHere(folder, settings(other))).toContain('belongs to another catalog than');
      await expectBytes(url, whole);
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
  });
});
