/** A catalog and a folder that do not belong together: refused, and nothing is lost by the attempt. */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { undoFolders, undoLinkFolders, undoLinks, undoTrash, undoUploadLinks } from '../harness/undo-migrations.ts';
import { refusal } from './refused-start-support.ts';
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
async function useService(env: NodeJS.ProcessEnv = {}, dataDir?: string): Promise<Used> {
  const folder = dataDir ?? (await makeTempFolder());
  const service = await startService({ dataDir: folder, env });
  onTestFinished(() => service.stop());
  const published = await createUpload(service.url, whole.length);
  expect((await patch(published, 0, whole)).status).toBe(204);
  const unfinished = await createUpload(service.url, part.length);
  expect((await patch(unfinished, 0, part.subarray(0, 40_000))).status).toBe(204);
  return { service, folder, published, unfinished };
}

async function expectAll({ published, unfinished }: Used): Promise<void> {
  await expectBytes(published, whole);
  expect(await offsetOf(unfinished)).toBe(40_000);
  expect((await patch(unfinished, 40_000, part.subarray(40_000))).status).toBe(204);
  await expectBytes(unfinished, part);
}

async function elsewhere(): Promise<string> {
  return join(await makeTempFolder(), 'other.db');
}

test('a new catalog on a folder that is used', async () => {
  const used = await useService();
  await used.service.kill('SIGTERM');
  const other = await elsewhere();
  const names = await storedNames(used.service);
  const said = await refusal(used.folder, { DATABASE_URL: `sqlite:${other}` });
  for (const told of [other, join(used.folder, 'files'), '--adopt']) expect(said).toContain(told);
  expect(await storedNames(used.service)).toEqual(names);
  await used.service.restart();
  await expectAll(used);
});

test('a catalog of before on a folder of another one: it stays as it was, and none is made', async () => {
  const used = await useService();
  await used.service.kill('SIGTERM');
  const other = await useService();
  await other.service.kill('SIGTERM');
  const file = join(other.folder, 'catalog.db');
  const before = new Database(file);
  before.exec('DROP TABLE meta');
  before.pragma('user_version = 2');
  before.close();
  const bytes = await readFile(file);
  expect(await refusal(used.folder, { DATABASE_URL: `sqlite:${file}` })).toContain('another catalog');
  expect((await readFile(file)).equals(bytes)).toBe(true);
  const missing = await elsewhere();
  expect(await refusal(used.folder, { DATABASE_URL: `sqlite:${missing}` })).toContain('another catalog');
  expect(await readdir(dirname(missing))).toEqual([]);
  await used.service.restart();
  await expectAll(used);
});

test('a second service with a catalog of its own, while the first one runs', async () => {
  const used = await useService();
  const catalog = await elsewhere();
  const other = await useService({ DATABASE_URL: `sqlite:${catalog}` });
  await other.service.kill('SIGTERM');
  expect(await refusal(used.folder, { DATABASE_URL: `sqlite:${catalog}` })).toContain(
    'belongs to another catalog than',
  );
  // Neither side has anything yet.
  const empty = await startService();
  onTestFinished(() => empty.stop());
  expect(await refusal(empty.dataDir, { DATABASE_URL: `sqlite:${await elsewhere()}` })).toContain('another catalog');
  await expectAll(used);
  await other.service.restart();
  await expectAll(other);
});

test('a catalog with files, and a folder without: a disk that is not mounted', async () => {
  const used = await useService();
  await used.service.kill('SIGTERM');
  const files = join(used.folder, 'files');
  await rename(files, `${files}-away`);
  for (const attempt of ['not there', 'empty']) {
    expect(await refusal(used.folder), attempt).toContain('its disk may not be mounted');
  }
  await rm(files, { recursive: true });
  await rename(`${files}-away`, files);
  await used.service.restart();
  await expectAll(used);
});

test('a folder that has lost its mark, or is an older copy', async () => {
  const used = await useService();
  await used.service.kill('SIGTERM');
  await rm(join(used.folder, 'files', '.tidemark-id'));
  expect(await refusal(used.folder)).toContain('does not say that it belongs to the catalog');
  const adopted = await startService({ dataDir: used.folder, args: ['--adopt'] });
  await adopted.kill('SIGTERM');
  await used.service.restart();
  await expectAll(used);
});

test('--adopt takes what is there; what the new catalog does not know stays, and the old one can have it back', async () => {
  const used = await useService();
  await used.service.kill('SIGTERM');
  const names = await storedNames(used.service);
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
  expect(await refusal(used.folder)).toContain('another catalog');
  await (await startService({ dataDir: used.folder, args: ['--adopt'] })).stop();
  await used.service.restart();
  await expectAll(used);
});

test('an installation of before, on which neither side has an id', async () => {
  const used = await useService();
  await used.service.kill('SIGTERM');
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
});

test('an older copy of the catalog: an upload resumes at what its file has', async () => {
  const used = await useService();
  await used.service.kill('SIGTERM');
  const file = join(used.folder, 'catalog.db');
  const older = new Database(file);
  const columns = 'UPDATE uploads SET "offset" = 0, snapshot = NULL, store_state = NULL WHERE state = \'receiving\'';
  older.exec(columns);
  older.close();
  await used.service.restart();
  // Of another boot, so what lies beyond cannot be trusted: the client is told less than before, and sends it again.
  expect(await offsetOf(used.unfinished)).toBe(0);
  expect((await patch(used.unfinished, 0, part)).status).toBe(204);
  await expectBytes(used.unfinished, part);
  await expectBytes(used.published, whole);
});

test('an unknown argument is refused', async () => {
  const folder = await makeTempFolder();
  await mkdir(folder, { recursive: true });
  await expect(startService({ dataDir: folder, args: ['--adpot'] })).rejects.toThrow(/ended with 78:[^]*--adpot/);
});
