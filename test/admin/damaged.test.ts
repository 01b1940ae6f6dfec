/** A move from one folder to another, where bytes of the source are gone or have changed. */
import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { diagnose } from '../harness/doctor.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { putFile } from '../http/support.ts';
import { refusal } from '../system/refused-start-support.ts';
import { until } from '../system/support.ts';
import {
  ACCESS,
  bytesOf,
  envFile,
  fingerprint,
  type ListedFile,
  OWNERS,
  startMove,
  upload,
  type UsedService,
  useService,
} from './used-service.ts';

async function serve(dataDir: string): Promise<RunningService> {
  const service = await startService({ env: ACCESS, dataDir });
  onTestFinished(() => service.stop());
  return service;
}

function fileOf(used: UsedService, name: RegExp): ListedFile & { bytes: Buffer } {
  const file = used.listed.ann.find((each) => name.test(each.name));
  const bytes = file && used.bytes.get(file.id);
  if (!bytes) throw new Error(`there is no ${name.source}`);
  return { ...file, bytes };
}

/** A service of which one content is gone, and another one has rotted. */
async function damagedService() {
  const used = await useService(await makeTempFolder());
  const [lost, rotten] = [fileOf(used, /^small 0/), fileOf(used, /^large/)];
  const path = ({ bytes }: { bytes: Buffer }, extension: string): string =>
    join(used.folder, 'files', `${md5(bytes)}${extension}`);
  await rename(path(lost, '.txt'), join(used.folder, 'kept'));
  const bytes = Buffer.from(rotten.bytes);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(path(rotten, '.bin'), bytes);
  const mendLost = (): Promise<void> => rename(join(used.folder, 'kept'), path(lost, '.txt'));
  return { used, lost, rotten, mendLost };
}

test('files of damaged contents are named with their folders', async () => {
  const source = await serve(await makeTempFolder());
  const bytes = makeBytes(4_000, 1304);
  for (const filename of ['2024/summer/sea.jpg', 'sea.jpg']) {
    await putFile(source.url, bytes, { filename }, { Authorization: `Bearer ${OWNERS.ann}` });
  }
  expect(await source.kill('SIGTERM')).toBe(0);
  await rename(join(source.dataDir, 'files', `${md5(bytes)}.jpg`), join(source.dataDir, 'kept'));
  const to = await envFile({ DATA_DIR: join(await makeTempFolder(), 'new') });
  const { exitCode, output } = await startMove(source.dataDir, [`--to-env=${to}`]).done;
  expect(exitCode, output).toBe(1);
  for (const name of ['2024/summer/sea.jpg', 'sea.jpg']) expect(output).toContain(`  "${name}" of ann`);
});

test('damaged contents are named, never copied as good, and healed by the next upload of the same bytes', async () => {
  const { used, lost, rotten } = await damagedService();
  const before = await fingerprint(used.folder);
  const dataDir = join(await makeTempFolder(), 'new');
  const args = [`--to-env=${await envFile({ DATA_DIR: dataDir })}`];
  const strict = await startMove(used.folder, [...args, '--strict']).done;
  expect(strict.exitCode, strict.output).toBe(1);
  expect(strict.output).toContain('The move has not come to its end (--strict)');
  expect(await refusal(dataDir, ACCESS)).toContain('has not come to its end');
  expect((await diagnose(dataDir, ACCESS)).step('belonging')?.found).toContain('has not come to its end');
  const { exitCode, output } = await startMove(used.folder, args).done;
  expect(exitCode, output).toBe(1);
  expect(output).toContain('6 of 8 contents were verified');
  expect(output).toContain('2 contents are damaged');
  for (const { name } of [lost, rotten]) expect(output).toContain(`"${name}" of ann`);
  expect(output).toMatch(/its bytes are gone[^]*|its bytes have the MD5/);
  expect(await fingerprint(used.folder)).toEqual(before);

  const service = await serve(dataDir);
  for (const { id } of [lost, rotten]) expect((await bytesOf(service, 'ann', id)).toString()).toMatch(/^answered 5/);
  for (const { name, bytes } of [lost, rotten]) await upload(service, 'ann', `again ${name}`, bytes);
  for (const { id, bytes } of [lost, rotten]) expect((await bytesOf(service, 'ann', id)).equals(bytes)).toBe(true);
});

test.skipIf(!hasPostgres())(
  'what is mended is copied by the next run, and the rest counted also after a kill behind it',
  async () => {
    const { used, mendLost } = await damagedService();
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    const args = ['--to-database', database.url];
    expect((await startMove(used.folder, [...args, '--strict']).done).exitCode).toBe(1);
    await mendLost();
    // The run stands still where it copies the rows of files.
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query('begin; lock table files in access exclusive mode');
    const stopped = startMove(used.folder, args);
    const isPassed = async (): Promise<boolean> =>
      (await database.run(`select from meta where key = 'move_damaged'`)).length > 0;
    await until('it goes past the damaged contents', isPassed);
    expect(await refusal(used.folder, ACCESS)).toContain('is in use by another service');
    stopped.child.kill('SIGKILL');
    await stopped.done;
    await client.end();
    // A service that was started and stopped meanwhile.
    const kept = join(used.folder, 'kept.db');
    await copyFile(join(used.folder, 'catalog.db'), kept);
    await (await serve(used.folder)).kill('SIGTERM');
    const other = await startMove(used.folder, args).done;
    expect(other.exitCode, other.output).toBe(78);
    expect(other.output).toContain('begin it anew');
    await rename(kept, join(used.folder, 'catalog.db'));
    const { exitCode, output } = await startMove(used.folder, args).done;
    expect(exitCode, output).toBe(1);
    expect(output).toContain('1 contents are damaged');
  },
);
