/** A service on one machine grows out of it: `tidemark admin move`. */
import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { isHere } from '../harness/needs.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { CAN_MOUNT, mountSmallDisk } from '../system/mounts.ts';
import { refusal } from '../system/refused-start-support.ts';
import {
  ACCESS,
  ARRIVED,
  envFile,
  expectAll,
  fingerprint,
  finishUpload,
  startMove,
  unfinishedOffset,
  unfinishedStatus,
  type UsedService,
  useService,
} from './used-service.ts';

async function serve(env: NodeJS.ProcessEnv, dataDir?: string): Promise<RunningService> {
  const service = await startService({ env: { ...ACCESS, ...env }, dataDir: dataDir ?? (await makeTempFolder()) });
  onTestFinished(() => service.stop());
  return service;
}

const CEPH = BUCKETS.find(({ name }) => name === 'Ceph');
const hasCeph = isHere(CEPH?.missing === undefined, `Ceph: ${CEPH?.missing}`);

async function startBucket(): Promise<SystemBucket> {
  const bucket = await CEPH?.start();
  if (!bucket) throw new Error('there is no Ceph');
  onTestFinished(() => bucket.stop());
  return bucket;
}

/** Enough for a kill in their middle. */
const SMALL = 40;
const CONTENTS = SMALL + 6;
const SOME_CONTENTS = 'select 1 from contents offset 8';
/** What is killed after it has come so far, one after the other. */
const REACHED = [
  `select 1 from meta where key = 'place'`,
  'select 1 from uploads where "offset" > 0',
  'select 1 from parts where number > 1',
  SOME_CONTENTS,
];

/** Whether a statement finds something in the target. */
function holds(database: TestDatabase, statement: string): Promise<boolean> {
  return database.run(statement).then(
    (rows) => rows.length > 0,
    // Its tables are not there yet.
    () => false,
  );
}

describe('a move', () => {
  let used: UsedService;
  let before: Record<string, string>;

  beforeAll(async () => {
    used = await useService(await mkdtemp(join(tmpdir(), 'tidemark-test-')), { small: SMALL });
    before = await fingerprint(used.folder);
  });

  afterAll(() => rm(used.folder, { recursive: true, force: true }));

  test.skipIf(!CAN_MOUNT)('to a folder whose disk is full, and then larger', async () => {
    const disk = mountSmallDisk('12m');
    const dataDir = join(disk.folder, 'new');
    const args = [`--to-env=${await envFile({ DATA_DIR: dataDir })}`];
    // On another disk than the source.
    const env = { TMPDIR: disk.folder };
    const full = await startMove(used.folder, args, env).done;
    expect(full.exitCode, full.output).toBe(1);
    expect(full.output).toMatch(/^The move stopped: there is no room left: [^\n]* Run the same command again/m);
    disk.remount('size=200m');
    const { exitCode, output } = await startMove(used.folder, args, env).done;
    expect(exitCode, output).toBe(0);
    expect(await fingerprint(used.folder)).toEqual(before);
    const service = await serve({}, dataDir);
    await expectAll(service, used);
    expect(await unfinishedStatus(service, used)).toBe(410);
    expect(await readdir(disk.folder)).toEqual(['new']);
    expect((await readdir(join(dataDir, 'files'))).filter((name) => name.startsWith('tmp_'))).toEqual([]);
  });

  describe.skipIf(!hasPostgres())('to PostgreSQL', () => {
    let database: TestDatabase;

    beforeEach(async () => {
      database = await createDatabase();
    });

    afterEach(() => database.drop());

    test.skipIf(!hasCeph)('and a bucket, killed again and again', async () => {
      const bucket = await startBucket();
      const target: NodeJS.ProcessEnv = { ...bucket.env(), DATABASE_URL: database.url };
      const args = [`--to-env=${await envFile(target)}`];
      const env = { TMPDIR: await makeTempFolder() };
      for (const reached of REACHED) {
        const move = startMove(used.folder, args, env);
        const isOver = move.done.then(() => true);
        // At any byte after it.
        while (!(await holds(database, reached)) && !(await Promise.race([isOver, wait(10, false)])));
        await wait(Math.random() * 60);
        move.child.kill('SIGKILL');
        expect((await move.done).exitCode, 'it was not over').toBe(null);
      }
      expect(await refusal(await makeTempFolder(), { ...ACCESS, ...target })).toContain('has not come to its end');
      const { exitCode, output } = await startMove(used.folder, args, env).done;
      expect(exitCode, output).toBe(0);
      expect(output).toContain('An earlier run of this move is continued.');
      expect(output).toContain(`${CONTENTS} of ${CONTENTS} contents were verified`);
      expect(output).toContain('1 unfinished uploads were ended (410)');
      expect(await fingerprint(used.folder)).toEqual(before);
      expect(await readdir(env.TMPDIR)).toEqual([]);

      expect(await database.run(`select id from uploads where state = 'receiving'`)).toEqual([]);
      const service = await serve(target);
      await expectAll(service, used);
      expect(await unfinishedStatus(service, used)).toBe(410);
      expect(await bucket.multiparts()).toEqual([]);
      expect(await bucket.keys()).toHaveLength(CONTENTS);
      expect(service.output()).not.toMatch(/"level":[56]0/);
    });

    test('beside the same folder: unfinished uploads go along, and the source starts as before', async () => {
      const { exitCode, output } = await startMove(used.folder, ['--to-database', database.url]).done;
      expect(exitCode, output).toBe(0);
      expect(output).toContain('1 unfinished uploads go along');
      expect(output).toContain('Everyone on this machine can read the password');
      expect(output).not.toContain(new URL(database.url).password);
      expect(await fingerprint(used.folder)).toEqual(before);
      const source = await serve({}, used.folder);
      await expectAll(source, used);
      expect(await unfinishedOffset(source, used)).toBe(ARRIVED);
      await source.kill('SIGTERM');
      // As a writer leaves them whose last commits a power cut took back.
      const [unfinished] = (await readdir(`${used.folder}/files`)).filter((name) => name.startsWith('tmp_'));
      await appendFile(`${used.folder}/files/${unfinished}`, Buffer.alloc(2 ** 23));
      await database.run(`update uploads set store_state = 'another boot' where state = 'receiving'`);
      const service = await serve({ DATABASE_URL: database.url }, used.folder);
      await expectAll(service, used);
      await finishUpload(service, used);
    });

    test.skipIf(!hasCeph)('beside the same bucket: parts of unfinished uploads go along', async () => {
      const bucket = await startBucket();
      const inBucket = await useService(await makeTempFolder(), { env: bucket.env() });
      const keys = await bucket.keys();
      const { exitCode, output } = await startMove(inBucket.folder, ['--to-database', database.url], bucket.env()).done;
      expect(exitCode, output).toBe(0);
      expect(output).toContain('8 of 8 contents were verified');
      expect(await bucket.keys()).toEqual(keys);
      const service = await serve({ ...bucket.env(), DATABASE_URL: database.url });
      await expectAll(service, inBucket);
      await finishUpload(service, inBucket);
    });
  });
});
