/** Moves that are refused in a sentence, with 78, before anything is changed. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { hasPostgres, PASSWORD } from '../harness/postgres.ts';
import { runCli } from '../harness/cli.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { envFile, fingerprint, startMove } from './used-service.ts';

/** What a move says that is refused. */
async function refused(folder: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { exitCode, output } = await startMove(folder, args, env).done;
  expect(exitCode, output).toBe(78);
  expect(output).not.toContain('    at ');
  return output;
}

async function toFolder(dataDir: string): Promise<string[]> {
  return [`--to-env=${await envFile({ DATA_DIR: dataDir })}`];
}

/** A service with a file, in a folder of its own. */
async function startUsed(): Promise<RunningService> {
  const service = await startService();
  const location = await createUpload(service.url, 5);
  expect((await patch(location, 0, 'bytes')).status).toBe(204);
  return service;
}

describe('a move is refused', () => {
  let service: RunningService;
  let before: Record<string, string>;

  beforeAll(async () => {
    service = await startUsed();
    await service.kill('SIGTERM');
    before = await fingerprint(service.dataDir);
  });

  afterAll(() => service.stop());

  test('without a target, and with one that is not valid', async () => {
    const { dataDir } = service;
    expect(await refused(dataDir, [])).toContain('Where to?');
    expect(await refused(dataDir, ['--to-nowhere=secret'])).not.toContain('secret');
    expect(await refused(dataDir, ['postgres://a:secret@b/c'])).not.toContain('secret');
    expect(await refused(dataDir, ['--to-env=missing.env'])).toContain('missing.env: cannot be read');
    const bucket = await refused(dataDir, ['--to-database=sqlite:/x/y', '--to-store=ceph']);
    expect(bucket).toContain('The settings of the target are not valid');
    expect(bucket).toContain('S3_BUCKET');
    expect(await refused(dataDir, ['--to-store=local'])).toContain("is the service's own");
    const url = `sqlite:${join(dataDir, '.', 'catalog.db')}`;
    expect(await refused(dataDir, ['--to-database', url])).toContain("is the service's own");
    expect(await fingerprint(dataDir)).toEqual(before);
  });

  test('while a service has the source open, and where there is none', async () => {
    const running = await startUsed();
    onTestFinished(() => running.stop());
    const args = await toFolder(join(await makeTempFolder(), 'new'));
    expect(await refused(running.dataDir, args)).toContain('is in use by a service: stop it first');
    expect((await fetch(`${running.url}/readyz`)).status).toBe(200);
    expect(await refused(await makeTempFolder(), args)).toContain('cannot be read');
  });

  test('where the files are not those of the catalog', async () => {
    const folder = await makeTempFolder();
    await mkdir(join(folder, 'files'));
    const env = { DATA_DIR: folder, DATABASE_URL: `sqlite:${join(service.dataDir, 'catalog.db')}` };
    const args = await toFolder(join(await makeTempFolder(), 'new'));
    expect(await refused(service.dataDir, args, env)).toContain('does not belong to the catalog of the service');
  });

  test('into what is used already, also by this service', async () => {
    const other = await startUsed();
    onTestFinished(() => other.stop());
    await other.kill('SIGTERM');
    const others = await fingerprint(other.dataDir);
    expect(await refused(service.dataDir, await toFolder(other.dataDir))).toContain("is another service's");
    expect(await fingerprint(other.dataDir)).toEqual(others);

    const folder = await makeTempFolder();
    const ofOther = { DATA_DIR: other.dataDir, DATABASE_URL: `sqlite:${join(folder, 'a.db')}` };
    const marked = [`--to-env=${await envFile(ofOther)}`];
    expect(await refused(service.dataDir, marked)).toContain('belongs to another catalog already');
    await mkdir(join(folder, 'files'));
    await writeFile(join(folder, 'files', 'd41d8cd98f00b204e9800998ecf8427e'), '');
    expect(await refused(service.dataDir, await toFolder(folder))).toContain('has files already');

    const dataDir = join(await makeTempFolder(), 'new');
    const args = await toFolder(dataDir);
    const { exitCode, output } = await startMove(service.dataDir, args).done;
    expect(exitCode, output).toBe(0);
    expect(await refused(service.dataDir, args)).toContain('has all of this service already');
    const again = { DATA_DIR: dataDir, DATABASE_URL: `sqlite:${join(folder, 'b.db')}` };
    expect(await refused(service.dataDir, [`--to-env=${await envFile(again)}`])).toContain(
      'belongs to this catalog already',
    );
    expect(await fingerprint(service.dataDir)).toEqual(before);
  });

  test.skipIf(!hasPostgres())('and a password is never told', async () => {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    const wrong = database.url.replace(PASSWORD, `${PASSWORD}-not`);
    const folder = await makeTempFolder();
    const file = join(folder, 'url');
    await writeFile(file, wrong);
    const env = { DATA_DIR: service.dataDir };
    const run = await runCli(['admin', 'move', '--to-database-file', file], folder, env).done;
    expect(run.exitCode, run.stderr).toBe(78);
    expect(run.stderr).toContain('refuses the password');
    expect(run.stderr + run.stdout).not.toContain(PASSWORD);
    expect(await readdir(folder)).toEqual(['url']);
    expect(await fingerprint(service.dataDir)).toEqual(before);
  });
});
