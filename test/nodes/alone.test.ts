/** A service on PostgreSQL whose files are in a folder: it has to be the only one, and its successor does not wait. */
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { makeBytes } from '../harness/bytes.ts';
import { diagnose } from '../harness/doctor.ts';
import { IS_LINUX } from '../harness/needs.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { startService } from '../harness/service.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { refusal } from '../system/refused-start-support.ts';
import { offsetOf } from '../system/support.ts';

const bytes = makeBytes(64 * 1024, 971);

describe.skipIf(!hasPostgres())('a service on PostgreSQL with a folder', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createDatabase();
  });

  afterEach(() => database.drop());

  async function openCatalog() {
    const catalog = await openPostgresCatalog({ url: database.url, poolSize: 1 });
    onTestFinished(() => catalog.close());
    return catalog;
  }

  test.skipIf(!IS_LINUX)('starts at once after a kill, and has its uploads', async () => {
    const service = await startService({ env: { DATABASE_URL: database.url } });
    onTestFinished(() => service.stop());
    const catalog = await openCatalog();
    const [before] = await catalog.listNodes();
    const location = await createUpload(service.url, bytes.length, { filename: 'a.bin' });
    const request = spawn('curl', ['-sN', '-T', '-', '-X', 'PATCH', location, ...HEADERS], { stdio: 'pipe' });
    onTestFinished(() => void request.kill('SIGKILL'));
    request.stdin.write(bytes.subarray(0, 1000));
    const id = new URL(location).pathname.split('/').at(-1) ?? '';
    await expect.poll(async () => (await catalog.findUpload(id))?.phase).toBe('receiving');
    await service.kill('SIGKILL');
    expect(await catalog.findUpload(id)).toMatchObject({ holder: before?.id, phase: 'receiving' });
    await service.restart();
    expect((await catalog.listNodes()).map((node) => node.id)).not.toContain(before?.id);
    const offset = await offsetOf(location);
    expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    expect(await database.run(`select 1 from nodes where process like '% ${service.pid} %'`)).toHaveLength(1);
  });

  test.skipIf(!IS_LINUX)('is refused beside one that stands still, however long', async () => {
    const service = await startService({ env: { DATABASE_URL: database.url } });
    onTestFinished(() => service.stop());
    process.kill(service.pid, 'SIGSTOP');
    onTestFinished(() => void process.kill(service.pid, 'SIGCONT'));
    await database.run(`update nodes set seen_at = seen_at - ${NODE_DEAD_AFTER_MS}`);
    expect(await refusal(service.dataDir, { DATABASE_URL: database.url })).toContain(
      'with STORE=local a service has to be the only one on its catalog',
    );
  });

  test('is refused beside a node elsewhere, which the doctor tells of, until that counts as dead', async () => {
    const catalog = await openCatalog();
    const about = { name: 'elsewhere 1', version: '', process: null, isAlone: false };
    expect(await catalog.joinNode('elsewhere', about)).toEqual([]);
    const beating = setInterval(() => void catalog.beatNode('elsewhere').catch(() => undefined), 1000);
    onTestFinished(() => clearInterval(beating));
    const env = { DATABASE_URL: database.url };
    const folder = await makeTempFolder();
    expect(await refusal(folder, env)).toContain('is in use by another service (elsewhere 1): with STORE=local');
    expect((await diagnose(folder, env)).step('catalog')?.found).toContain(
      'a running service has it open (elsewhere 1): one with STORE=local is refused',
    );
    clearInterval(beating);
    await database.run(`update nodes set seen_at = seen_at - ${NODE_DEAD_AFTER_MS - 3_000}`);
    // Nobody can know that it has ended: the start waits, and is not refused.
    const service = await startService({ env });
    onTestFinished(() => service.stop());
    expect(await catalog.isNodeAlive('elsewhere')).toBe(false);
    expect(await catalog.joinNode('another', about)).toMatchObject([{ isAlone: true }]);
    await service.kill('SIGTERM');
    expect(await catalog.joinNode('another', about)).toEqual([]);
  });
});

const HEADERS = ['Tus-Resumable: 1.0.0', 'Upload-Offset: 0', 'Content-Type: application/offset+octet-stream'].flatMap(
  (header) => ['-H', header],
);
