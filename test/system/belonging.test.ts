/** A catalog and a folder that do not belong together: refused, and nothing is lost by the attempt. */
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { undoFolders, undoLinkFolders, undoLinks, undoTrash, undoUploadLinks } from '../harness/undo-migrations.ts';
import { refusal, refusalHere, startAndStopHere } from './refused-start-support.ts';
import { expectBytes, offsetOf, storedNames } from './support.ts';

const whole = makeBytes(70_000, 121);
const part = makeBytes(90_000, 122);

interface Used {
  service: RunningService;
  folder: string;
  /** Of a published file, and of an upload of 40,000 bytes. */
  published: string;
  unfinished: string;
}

/** A service with a file and an upload, and its folder. */
async function useService(env: NodeJS.ProcessEnv = {}): Promise<Used> {
  const service = await startService({ env });
  const published = await createUpload(service.url, whole.length);
  expect((await patch(published, 0, whole)).status).toBe(204);
  const unfinished = await createUpload(service.url, part.length);
  expect((await patch(unfinished, 0, part.subarray(0, 40_000))).status).toBe(204);
  return { service, folder: service.dataDir, published, unfinished };
}

async function expectAll({ published, unfinished }: Used): Promise<void> {
  await expectBytes(published, whole);
  expect(await offsetOf(unfinished)).toBe(40_000);
}

async function elsewhere(): Promise<string> {
  return join(await makeTempFolder(), 'other.db');
}

// All tests share one service, which loses nothing by any of them.
describe('a folder that is used', () => {
  let used: Used;
  /** In its folder of files. */
  let names: string[];

  beforeAll(async () => {
    used = await useService();
    names = await storedNames(used.service);
    await used.service.kill('SIGTERM');
  });
  afterEach(expectNames);
  afterAll(() => used.service.stop());

  async function expectNames(): Promise<void> {
    expect(await storedNames(used.service)).toEqual(names);
  }

  test('with a new catalog', async () => {
    const other = await elsewhere();
    const said = await refusal(used.folder, { DATABASE_URL: `sqlite:${other}` });
    for (const told of [other, join(used.folder, 'files'), '--adopt']) expect(said).toContain(told);
    expect(await readdir(dirname(other))).toEqual([]);
    await used.service.restart();
    await expectAll(used);
  });

  test('with the catalog of another one, of now or of before, while the first one runs', async () => {
    const catalog = await elsewhere();
    const env = { DATABASE_URL: `sqlite:${catalog}` };
    const other = await useService(env);
    onTestFinished(() => other.service.stop());
    await other.service.kill('SIGTERM');
    expect(await refusalHere(used.folder, env)).toContain('belongs to another catalog than');
    // Neither side has anything yet.
    const empty = await startService();
    onTestFinished(() => empty.stop());
    expect(await refusalHere(empty.dataDir, { DATABASE_URL: `sqlite:${await elsewhere()}` })).toContain(
      'another catalog',
    );
    await expectAll(used);
    await other.service.restart();
    await expectAll(other);

    await other.service.kill('SIGTERM');
    const before = new Database(catalog);
    before.exec('DROP TABLE meta');
    before.pragma('user_version = 2');
    before.close();
    const bytes = await readFile(catalog);
    expect(await refusalHere(used.folder, env)).toContain('another catalog');
    // It stays as it was.
    expect((await readFile(catalog)).equals(bytes)).toBe(true);
    await expectAll(used);
  });

  test('--adopt takes what is there; what the new catalog does not know stays, and the old one can have it back', async () => {
    await used.service.kill('SIGTERM');
    const env = { DATABASE_URL: `sqlite:${await elsewhere()}` };
    const adopted = await startService({ dataDir: used.folder, env, args: ['--adopt'] });
    onTestFinished(() => adopted.stop());
    // The job for strays has been through the folder.
    await expect.poll(() => adopted.output(), { timeout: 10_000 }).toContain('that the catalog does not know');
    expect(await storedNames(adopted)).toEqual(names);
    expect((await head(adopted.url + new URL(used.unfinished).pathname)).status).toBe(404);
    // From now on without it; and the other way round.
    await adopted.restart();
    await adopted.kill('SIGTERM');
    expect(await refusalHere(used.folder)).toContain('another catalog');
    await startAndStopHere(used.folder, {}, true);
    await used.service.restart();
    await expectAll(used);
    await used.service.kill('SIGTERM');
  });

  test('that is not there: a disk that is not mounted', async () => {
    const files = join(used.folder, 'files');
    await rename(files, `${files}-away`);
    for (const attempt of ['not there', 'empty']) {
      expect(await refusalHere(used.folder), attempt).toContain('its disk may not be mounted');
    }
    await rm(files, { recursive: true });
    await rename(`${files}-away`, files);
  });

  test('that has lost its mark, or is an older copy', async () => {
    await rm(join(used.folder, 'files', '.tidemark-id'));
    expect(await refusalHere(used.folder)).toContain('does not say that it belongs to the catalog');
    await startAndStopHere(used.folder, {}, true);
    await startAndStopHere(used.folder);
  });

  test('by an installation of before, on which neither side has an id', async () => {
    await rm(join(used.folder, 'files', '.tidemark-id'));
    const database = new Database(join(used.folder, 'catalog.db'));
    // All that the migrations since have made.
    undoUploadLinks(database);
    undoLinkFolders(database);
    undoTrash(database);
    undoFolders(database);
    undoLinks(database);
    database.exec('DROP TABLE meta; DROP INDEX files_by_content_owner_name; DROP INDEX uploads_receiving_by_owner');
    database.exec('DROP INDEX contents_without_sha1; DROP INDEX uploads_receiving_by_owner_and_md5');
    database.exec('CREATE INDEX files_by_content ON files (content_id, uploaded_at, id)');
    database.exec('DROP TABLE final_partials; DROP INDEX uploads_finals');
    for (const column of ['holder', 'phase', 'expected_size', 'kind'])
      database.exec(`ALTER TABLE uploads DROP COLUMN ${column}`);
    database.exec('DROP TABLE events; DROP TABLE forgotten_events');
    for (const column of ['proof', 'seal']) database.exec(`ALTER TABLE contents DROP COLUMN ${column}`);
    for (const column of ['md5', 'node', 'until']) database.exec(`ALTER TABLE removals DROP COLUMN ${column}`);
    database.exec('UPDATE uploads SET boot_id = store_state, store_state = NULL');
    database.pragma('user_version = 2');
    database.close();
    await used.service.restart();
    expect(await readdir(join(used.folder, 'files'))).toContain('.tidemark-id');
    await expectAll(used);
    expect((await patch(used.unfinished, 40_000, part.subarray(40_000))).status).toBe(204);
    await expectBytes(used.unfinished, part);
    names = await storedNames(used.service);
  });

  test('with an older copy of the catalog: an upload resumes at what its file has', async () => {
    const bytes = makeBytes(90_000, 123);
    const location = await createUpload(used.service.url, bytes.length);
    expect((await patch(location, 0, bytes.subarray(0, 40_000))).status).toBe(204);
    await used.service.kill('SIGTERM');
    const older = new Database(join(used.folder, 'catalog.db'));
    const columns = 'UPDATE uploads SET "offset" = 0, snapshot = NULL, store_state = NULL WHERE state = \'receiving\'';
    older.exec(columns);
    older.close();
    await used.service.restart();
    // Of another boot, so what lies beyond cannot be trusted: the client is told less than before, and sends it again.
    expect(await offsetOf(location)).toBe(0);
    expect((await patch(location, 0, bytes)).status).toBe(204);
    await expectBytes(location, bytes);
    await expectBytes(used.published, whole);
    names = await storedNames(used.service);
  });
});

test('an unknown argument is refused', async () => {
  const folder = await makeTempFolder();
  await expect(startService({ dataDir: folder, args: ['--adpot'] })).rejects.toThrow(/ended with 78:[^]*--adpot/);
});
