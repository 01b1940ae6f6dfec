/** A catalog and a bucket that do not belong together: refused, and nothing is lost by the attempt. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { putFile } from '../http/support.ts';
import { BUCKETS, MARK, PREFIX, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes } from '../harness/bytes.ts';
import { diagnose } from '../harness/doctor.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { refusal } from './refused-start-support.ts';
import { expectBytes, offsetOf } from './support.ts';

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

const whole = makeBytes(70_000, 141);
const part = makeBytes(90_000, 142);

describe.each(BUCKETS)('a bucket of $name', ({ missing, start }) => {
  describe.skipIf(missing !== undefined)('belongs to one catalog', () => {
    let bucket: SystemBucket;
    let proxy: FaultProxy;
    let services: RunningService[];

    beforeAll(async () => {
      bucket = await start();
      proxy = await startFaultProxy({ toPort: bucket.port });
    });
    beforeEach(() => {
      services = [];
    });
    afterEach(async () => {
      proxy.clear();
      await Promise.all(services.map((service) => service.stop()));
      await bucket.empty();
    });
    afterAll(async () => {
      await proxy.stop();
      await bucket.stop();
    });

    async function run(dataDir: string, args: string[] = []): Promise<RunningService> {
      const service = await startService({ dataDir, env: bucket.env(), args });
      services.push(service);
      return service;
    }

    interface Used {
      service: RunningService;
      /** Of a published file, and of an upload of 40,000 bytes. */
      published: string;
      unfinished: string;
    }

    /** A service with a file and an upload, which is stopped. */
    async function useBucket(): Promise<Used> {
      const service = await run(await makeTempFolder());
      const { url } = await putFile(service.url, whole, { filename: 'whole' });
      const unfinished = await createUpload(service.url, part.length);
      expect((await patch(unfinished, 0, part.subarray(0, 40_000))).status).toBe(204);
      await service.kill('SIGTERM');
      return { service, published: url, unfinished };
    }

    async function expectAll({ published, unfinished }: Used): Promise<void> {
      await expectBytes(published, whole);
      expect(await offsetOf(unfinished)).toBe(40_000);
      expect((await patch(unfinished, 40_000, part.subarray(40_000))).status).toBe(204);
    }

    const idIn = (dataDir: string): string => {
      const database = new Database(join(dataDir, 'catalog.db'));
      const { value } = database.prepare("SELECT value FROM meta WHERE key = 'id'").get() as { value: string };
      database.close();
      return value;
    };

    /** An installation from before there were marks: the bucket has none, and the catalog knows of none. */
    async function forgetMark(dataDir: string): Promise<void> {
      await bucket.remove(PREFIX + MARK);
      const database = new Database(join(dataDir, 'catalog.db'));
      database.exec("DELETE FROM meta WHERE key = 'place'");
      database.close();
    }

    test('though the catalog was once used with a folder, before buckets had marks', async () => {
      const used = await useBucket();
      const { dataDir } = used.service;
      await forgetMark(dataDir);
      const database = new Database(join(dataDir, 'catalog.db'));
      database.exec("INSERT INTO meta (key, value) VALUES ('place', '/some/folder/files')");
      database.close();
      const id = idIn(dataDir);
      await used.service.restart();
      expect(await bucket.mark()).toBe(id);
      await expectAll(used);
    });

    test('which marks it, and needs one answer at its next start', async () => {
      const used = await useBucket();
      expect(await bucket.mark()).toBe(idIn(used.service.dataDir));
      const before = proxy.calls().length;
      const again = await startService({ dataDir: used.service.dataDir, env: bucket.env(proxy.port) });
      services.push(again);
      const asked = proxy.calls().slice(before);
      expect(asked.filter(({ key }) => key.endsWith(MARK)).map(({ operation }) => operation)).toEqual(['GetObject']);
    });

    test('which of two services that meet it empty is the one that marks it first', async () => {
      const put = proxy.place({ operation: 'PutObject', key: PREFIX + MARK, fault: { kind: 'stall' } });
      const refused = refusal(await makeTempFolder(), bucket.env(proxy.port));
      await put.hit;
      const first = await run(await makeTempFolder());
      put.remove();
      expect(await refused).toContain('was written by another service at the same time');
      await first.kill('SIGTERM');
      expect(await bucket.mark()).toBe(idIn(first.dataDir));
      await first.restart();
    });

    test('a new catalog is refused, and none is made', async () => {
      const used = await useBucket();
      const keys = await bucket.keys();
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
      expect(await bucket.keys()).toEqual(keys);
      const { exitCode, step } = await diagnose(folder, bucket.env());
      expect(step('belonging')).toMatchObject({ status: 'failed', found: 'the bucket belongs to another catalog' });
      expect(exitCode).toBe(1);
      await used.service.restart();
      await expectAll(used);
    });

    test('another catalog is refused, also while the first one is in use', async () => {
      const used = await useBucket();
      await used.service.restart();
      const other = await startService({ env: { ...bucket.env(), S3_PREFIX: 'other/' } });
      services.push(other);
      await putFile(other.url, makeBytes(1_000, 143), { filename: 'of the other' });
      await other.kill('SIGTERM');
      expect(await refusal(other.dataDir, bucket.env())).toContain('belongs to another catalog than');
      await expectAll(used);
      for (const key of await bucket.keys('other/')) await bucket.remove(`other/${key}`);
    });

    test('a new catalog is refused where nothing says whose the files are', async () => {
      const used = await useBucket();
      await forgetMark(used.service.dataDir);
      const folder = await makeTempFolder();
      const said = await refusal(folder, bucket.env());
      for (const told of ['has files, and the catalog', 'is a new one', '--adopt']) expect(said).toContain(told);
      expect(await bucket.mark()).toBeUndefined();
      await used.service.restart();
      await expectAll(used);
    });

    test('a catalog of before marks it at its next start', async () => {
      const used = await useBucket();
      await forgetMark(used.service.dataDir);
      const { step } = await diagnose(used.service.dataDir, bucket.env());
      expect(step('belonging')).toMatchObject({ status: 'ok', found: 'the next start gives the bucket its id' });
      await used.service.restart();
      expect(await bucket.mark()).toMatch(/^[0-9a-f]{32}$/);
      await expectAll(used);
    });

    test('a bucket that has lost its mark, or its files, is refused', async () => {
      const used = await useBucket();
      await bucket.remove(PREFIX + MARK);
      expect(await refusal(used.service.dataDir, bucket.env())).toContain(
        'does not say that it belongs to the catalog',
      );
      const elsewhere = { ...bucket.env(), S3_PREFIX: 'elsewhere/' };
      expect(await refusal(used.service.dataDir, elsewhere)).toContain('S3_BUCKET or S3_PREFIX may name another one');
      await (await run(used.service.dataDir, ['--adopt'])).kill('SIGTERM');
      await used.service.restart();
      await expectAll(used);
    });

    test('--adopt gives it to another catalog; the one before is refused then, and can have it back', async () => {
      const used = await useBucket();
      const keys = await bucket.keys();
      const adopted = await run(await makeTempFolder(), ['--adopt']);
      expect(adopted.output()).toContain('the bucket belongs to this catalog from now on');
      await adopted.kill('SIGTERM');
      expect(await bucket.mark()).toBe(idIn(adopted.dataDir));
      expect(await refusal(used.service.dataDir, bucket.env())).toContain('belongs to another catalog');
      expect(await bucket.keys()).toEqual(keys);
      await (await run(used.service.dataDir, ['--adopt'])).kill('SIGTERM');
      await used.service.restart();
      await expectAll(used);
    });

    test('an answer that is lost, or that denies the mark, costs nobody the bucket', async () => {
      const used = await useBucket();
      const id = await bucket.mark();
      const folder = await makeTempFolder();
      // The look before the opening fails; the one after it decides.
      proxy.place({ operation: 'GetObject', fault: { kind: 'loseAnswer' } });
      expect(await refusal(folder, bucket.env(proxy.port))).toContain('belongs to another catalog');
      proxy.place({
        operation: 'GetObject',
        times: Infinity,
        fault: { kind: 'answer', status: 404, code: 'NoSuchKey' },
      });
      expect(await refusal(folder, bucket.env(proxy.port))).toContain('is listed, and was not found');
      expect(await bucket.mark()).toBe(id);
      await used.service.restart();
      await expectAll(used);
    });

    test('an answer that breaks off while the mark is read is asked for again', async () => {
      const used = await useBucket();
      const folder = await makeTempFolder();
      proxy.place({ operation: 'GetObject', times: 2, fault: { kind: 'cutAnswer', afterBytes: 5 } });
      expect(await refusal(folder, bucket.env(proxy.port))).toContain('belongs to another catalog');
      proxy.place({ operation: 'GetObject', times: Infinity, fault: { kind: 'cutAnswer', afterBytes: 5 } });
      expect(await refusal(folder, bucket.env(proxy.port))).toContain('.tidemark-id');
      proxy.clear();
      await used.service.restart();
      await expectAll(used);
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
      const said = await refusal(folder, settings(other));
      expect(said).toContain(`/${PREFIX} belongs to another catalog than`);
      expect(said).toContain(other.name);
      const { exitCode, step } = await diagnose(folder, settings(other));
      expect(step('belonging')).toMatchObject({ status: 'failed', found: 'the bucket belongs to another catalog' });
      expect(exitCode).toBe(1);
      expect((await diagnose(folder, settings(own))).step('belonging')).toMatchObject({
        status: 'ok',
        found: 'the same',
      });
      // Also one that was used with another bucket.
      const elsewhere = await startService({ env: { ...settings(other), S3_PREFIX: 'elsewhere/' } });
      await elsewhere.stop();
      expect(await refusal(folder, settings(other))).toContain('belongs to another catalog than');
      await expectBytes(url, whole);
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
  });
});
