/** `tidemark doctor` on a folder and a catalog: what is well, what is wrong, and that nothing is left or changed. */
import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { runCli } from '../harness/cli.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { diagnose, diagnoseHere, readDiagnosis } from '../harness/doctor.ts';
import { startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { CAN_MOUNT, mountSmallDisk } from './mounts.ts';
import { refusal } from './refused-start-support.ts';
import { expectBytes, offsetOf } from './support.ts';
import { CAN_TRACE } from './trace.ts';

const DOCTOR = fileURLToPath(new URL('../../server/doctor/main.js', import.meta.url));

const STEPS = [
  'settings',
  'write and sync',
  'rename',
  'hard link',
  'cleaning',
  'catalog',
  'belonging',
  'folder',
  'free space',
] as const;

const NOBODY = 65534;
/** SQLite: where `user_version` is in a database file. */
const SCHEMA_AT = 60;

/** A catalog that a service has made and closed. */
async function makeCatalog(folder: string): Promise<string> {
  const service = await startService({ dataDir: folder });
  // Stopped, not killed: the database is whole without its log.
  await service.kill('SIGTERM');
  await service.stop();
  return join(folder, 'catalog.db');
}

/** Names and bytes of a folder of data. */
async function readFiles(folder: string): Promise<[string, string][]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith('catalog.db')).sort();
  return Promise.all(names.map(async (name) => [name, md5(await readFile(join(folder, name)))] as [string, string]));
}

function change(file: string, pragma: string): void {
  const database = new Database(file);
  database.pragma(pragma);
  database.close();
}

describe('the doctor on a folder', () => {
  test('finds nothing wrong with a new one, and leaves it empty', async () => {
    const folder = await makeTempFolder();
    const { exitCode, steps } = await diagnose(folder, {});
    expect(steps.map(({ step }) => step)).toEqual(STEPS);
    expect(steps.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(exitCode).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  test('does not make one that is not there', async () => {
    const folder = await makeTempFolder();
    const { exitCode, step } = await diagnoseHere(folder, { DATA_DIR: join(folder, 'some', 'data') });
    expect(step('folder')?.found).toBe(`it is not there yet, and can be made in ${folder}`);
    expect(step('catalog')?.found).toMatch(/^it is not there yet/);
    expect(exitCode).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  test('says so when it is a file', async () => {
    const folder = await makeTempFolder();
    const file = join(folder, 'file');
    await writeFile(file, '');
    const { exitCode, step } = await diagnoseHere(folder, { DATA_DIR: file });
    expect(step('folder')).toMatchObject({ status: 'failed', found: `${file} is a file` });
    expect(step('free space')).toMatchObject({ status: 'skipped', found: '“folder” failed' });
    expect(step('write and sync')).toMatchObject({ status: 'failed' });
    expect(exitCode).toBe(1);
  });

  test('notes who else may write to it', async () => {
    const folder = await makeTempFolder();
    await chmod(folder, 0o777);
    const open = await diagnoseHere(folder, {});
    expect(open.step('folder')).toMatchObject({ status: 'note', change: 'chmod o-w' });
    expect(open.exitCode).toBe(0);
  });

  // Only root can give it away.
  test.skipIf(process.getuid?.() !== 0)('notes whose it is', async () => {
    const folder = await makeTempFolder();
    await chmod(folder, 0o777);
    await chown(folder, NOBODY, NOBODY);
    const foreign = await diagnoseHere(folder, {});
    expect(foreign.step('folder')).toMatchObject({
      status: 'note',
      found: `writable; it belongs to user ${NOBODY}, and this is user 0`,
    });
  });

  test('reads .env, and tells every setting that is refused', async () => {
    const folder = await makeTempFolder();
    await writeFile(join(folder, '.env'), `STORE=floppy\nHTTP_PORT=99999\nDATA_DIR=${folder}\n`);
    const { exitCode, stdout } = await runCli(['doctor'], folder).done;
    expect(stdout).toMatch(/^failed {3}settings .*STORE must be one of local, s3, ceph, oss, not "floppy"/m);
    expect(stdout).toMatch(/^ +-> correct STORE$/m);
    expect(stdout).toMatch(/HTTP_PORT must be a whole number/);
    expect(stdout).toMatch(/^skipped {2}store {12}“settings” failed$/m);
    expect(stdout.trimEnd()).toMatch(/\n0 ok, 0 to note, 2 failed, 3 skipped$/);
    expect(exitCode).toBe(1);
  });

  test('knows its command line', async () => {
    const folder = await makeTempFolder();
    expect((await runCli(['doctor', '--help'], folder).done).stdout).toContain('--json');
    expect((await runCli(['doctor', '--server', 'x'], folder).done).exitCode).toBe(2);
  });

  // Skipped without strace and the right to trace.
  test.skipIf(!CAN_TRACE)('notes a file system without hard links', async () => {
    const folder = await makeTempFolder();
    const tracing = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=link', '-e', 'inject=link:error=EPERM'];
    const env = { PATH: process.env['PATH'], DATA_DIR: folder };
    const { stdout } = await promisify(execFile)('strace', [...tracing, process.execPath, DOCTOR, '--json'], {
      cwd: folder,
      env,
    });
    const { step } = readDiagnosis({ exitCode: 0, stdout, stderr: '' });
    expect(step('hard link')).toMatchObject({ status: 'note', found: 'the file system has no hard links' });
    expect(step('cleaning')).toMatchObject({ status: 'ok' });
    expect(await readdir(folder)).toEqual([]);
  });

  // Skipped without the right to mount: run the tests as root on Linux.
  test.skipIf(!CAN_MOUNT)('says so when its disk is full or read-only', async () => {
    const elsewhere = await makeTempFolder();
    const disk = mountSmallDisk('6M');
    await disk.fill();
    const full = await diagnoseHere(elsewhere, { DATA_DIR: disk.folder });
    expect(full.step('write and sync')).toMatchObject({ status: 'failed', change: 'its disk is full: make room' });
    expect(full.exitCode).toBe(1);
    expect((await readdir(disk.folder)).filter((name) => name !== 'filler')).toEqual([]);
    await disk.makeRoom();
    const small = await diagnoseHere(elsewhere, { DATA_DIR: disk.folder });
    expect(small.step('write and sync')).toMatchObject({ status: 'ok' });
    expect(small.step('free space')).toMatchObject({ status: 'failed', found: '0.0 GiB free' });
    disk.remount('ro');
    const readOnly = await diagnoseHere(elsewhere, { DATA_DIR: disk.folder });
    for (const name of ['write and sync', 'folder']) {
      expect(readOnly.step(name)).toMatchObject({
        status: 'failed',
        change: 'its file system is read-only: mount it writable, or set DATA_DIR',
      });
    }
  });
});

describe('the doctor on a catalog', () => {
  test('reads that of a running service, and does not disturb it', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const bytes = makeBytes(2000, 91);
    const location = await createUpload(service.url, bytes.length);
    expect((await patch(location, 0, bytes.subarray(0, 1000))).status).toBe(204);
    // The service makes its index of names beside what it answers, from the first list on.
    expect((await send('GET', `${service.url}/api/files`)).status).toBe(200);
    await expect.poll(() => readdir(service.dataDir)).toContain('catalog.db-names-wal');
    const before = await readdir(service.dataDir, { recursive: true });
    const { exitCode, step } = await diagnose(service.dataDir, {});
    expect(step('catalog')?.found).toMatch(/^a running service has it open, schema (\d+) of \1$/);
    expect(exitCode).toBe(0);
    expect(await readdir(service.dataDir, { recursive: true })).toEqual(before);
    expect((await patch(location, 1000, bytes.subarray(1000))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('opens that of a killed one, which loses nothing by it', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const location = await createUpload(service.url, 2000);
    expect((await patch(location, 0, makeBytes(1000, 92))).status).toBe(204);
    await service.kill('SIGKILL');
    const before = await readFiles(service.dataDir);
    const { exitCode, step } = await diagnoseHere(service.dataDir, {});
    expect(step('catalog')?.found).toMatch(
      /^schema (\d+) of \1: it was not closed, and the next start brings its log in/,
    );
    expect(step('belonging')).toMatchObject({ status: 'ok', found: 'the same' });
    expect(exitCode).toBe(0);
    expect(await readFiles(service.dataDir)).toEqual(before);
    await service.restart();
    expect(await offsetOf(location)).toBe(1000);
  });

  test('tells a log that is gone, and one of another time, as a start would', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const folder = service.dataDir;
    const file = join(folder, 'catalog.db');
    await service.kill('SIGTERM');
    await copyFile(file, join(folder, 'backup'));
    for (let run = 0; run < 2; run++) {
      await service.restart();
      await createUpload(service.url, 2000);
      await service.kill(run === 0 ? 'SIGTERM' : 'SIGKILL');
    }
    await rename(`${file}-wal`, join(folder, 'away'));
    const gone = await diagnoseHere(folder, {});
    expect(gone.step('catalog')).toMatchObject({ status: 'failed', change: expect.stringContaining('--adopt') });
    expect(gone.step('catalog')?.found).toContain('is not there, and the service that used it was not stopped');
    expect(await refusal(folder)).toContain('is not there, and the service that used it was not stopped');
    await rename(join(folder, 'away'), `${file}-wal`);
    await rename(file, join(folder, 'newest'));
    await copyFile(join(folder, 'backup'), file);
    const before = await readFiles(folder);
    expect((await diagnoseHere(folder, {})).step('catalog')?.found).toContain('is not that of the catalog');
    expect(await refusal(folder)).toContain('is not that of the catalog');
    expect(await readFiles(folder)).toEqual(before);
    await rename(join(folder, 'newest'), file);
    await service.restart();
  });

  test('tells a folder that belongs to another catalog', async () => {
    const service = await startService();
    onTestFinished(() => service.stop());
    const other = await makeCatalog(await makeTempFolder());
    const { step, exitCode } = await diagnoseHere(service.dataDir, { DATABASE_URL: `sqlite:${other}` });
    expect(step('belonging')).toMatchObject({ status: 'failed', found: 'the folder belongs to another catalog' });
    expect(exitCode).toBe(1);
    // As of the last checkpoint, also beside a running service.
    expect((await diagnoseHere(service.dataDir, {})).step('belonging')?.found).toBe('the same');
  });

  test('knows an older schema, which it leaves as it is, and a newer one', async () => {
    const folder = await makeTempFolder();
    const file = await makeCatalog(folder);
    change(file, 'user_version = 1');
    const older = await diagnoseHere(folder, {});
    expect(older.step('catalog')).toMatchObject({ status: 'note' });
    expect(older.step('catalog')?.found).toMatch(/^writable, schema 1 of \d+: the next start brings it up to date$/);
    expect(older.exitCode).toBe(0);
    expect((await readFile(file)).readUInt32BE(SCHEMA_AT)).toBe(1);
    change(file, 'user_version = 999');
    const newer = await diagnoseHere(folder, {});
    expect(newer.step('catalog')).toMatchObject({ status: 'failed' });
    expect(newer.step('catalog')?.found).toContain('has schema 999, and this version of the service knows');
    expect(newer.exitCode).toBe(1);
  });

  test('tells a database of another program and a file that is none, and changes neither', async () => {
    const folder = await makeTempFolder();
    const file = join(folder, 'catalog.db');
    const other = new Database(file);
    other.exec('CREATE TABLE recipes (name TEXT)');
    other.pragma('user_version = 3');
    other.close();
    const bytes = await readFile(file);
    const foreign = await diagnoseHere(folder, {});
    expect(foreign.step('catalog')?.found).toContain('is a database of another program, not a catalog');
    expect(foreign.exitCode).toBe(1);
    expect(await readFile(file)).toEqual(bytes);
    await writeFile(file, 'no database at all '.repeat(500));
    const damaged = await diagnoseHere(folder, {});
    expect(damaged.step('catalog')?.found).toContain('is not an SQLite database, or is damaged');
    await mkdir(join(folder, 'folder'));
    const wrong = await diagnoseHere(folder, { DATABASE_URL: `sqlite:${join(folder, 'folder')}` });
    expect(wrong.step('catalog')).toMatchObject({ status: 'failed', change: expect.stringContaining('DATABASE_URL') });
  });
});
