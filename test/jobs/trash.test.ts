/** The trash: what has been in it for so long is gone for good, in steps, by the catalog's clock; one node at a time works on it. */
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { openPostgresCatalog } from '../../server/catalog/postgres/open.ts';
import { trashJob } from '../../server/jobs/trash.ts';
import { createProcessWake } from '../../server/leases/wake.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import { makeBytes } from '../harness/bytes.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { createDatabase } from '../harness/shared-postgres.ts';
import { describeOverFolderAndBucket } from '../harness/stores.ts';
import { addPublished, newContent } from '../catalog/fixtures.ts';
import { type House, openHouse } from '../uploads/support.ts';

const HOUR_MS = 3_600_000;

function jobOf({ parts, writers, recovery, finals }: House) {
  return trashJob({ ...parts, writers, recovery, finals });
}

/** A clock that the test moves. */
function movedClock() {
  let aheadMs = 0;
  return {
    move: (byMs: number): void => void (aheadMs += byMs),
    time: {
      wallMs: () => Date.now() + aheadMs,
      elapsedMs: () => performance.now() + aheadMs,
      uptimeMs: () => performance.now() + aheadMs,
      bootId: null,
    },
  };
}

async function isStored({ parts }: House, key: string): Promise<boolean> {
  return parts.store.readContent(key, undefined, new AbortController().signal, 1000).then(
    (stream) => {
      stream.destroy();
      return true;
    },
    () => false,
  );
}

describeOverFolderAndBucket((store) => {
  test('a file is gone with its bytes once its time in the trash is over, and not before', async () => {
    const { move, time } = movedClock();
    const house = await openHouse(store.newPlace(), { trashTtlMs: HOUR_MS }, { time });
    const { catalog } = house.parts;
    const declaration = {
      size: null,
      md5: null,
      sha1: null,
      sha256: null,
      filename: 'a',
      filetype: null,
      metadata: '',
    };
    const request = { owner: 'anyone', declaration };
    const source = Readable.from([makeBytes(1000, 6_950)]);
    const { file } = await house.uploads.receiveWhole(request, source, new AbortController().signal);
    const { key } = (await catalog.findFile(file.id, 'anyone'))?.content ?? { key: '' };
    expect(await isStored(house, key)).toBe(true);
    await createFileActions(house.parts).remove(file.id, 'anyone');
    move(HOUR_MS - 60_000);
    await jobOf(house).round();
    expect((await catalog.listTrash({ owner: 'anyone', limit: 10 })).files).toHaveLength(1);
    expect(await isStored(house, key)).toBe(true);
    move(120_000);
    await jobOf(house).round();
    expect((await catalog.listTrash({ owner: 'anyone', limit: 10 })).files).toEqual([]);
    expect(await isStored(house, key)).toBe(false);
    expect(await catalog.listRemovals(0, 10)).toEqual([]);
  });
});

test('many files go in several steps, of all owners; a round ends when the service stops', async () => {
  const { move, time } = movedClock();
  const house = await openHouse({}, { trashTtlMs: HOUR_MS }, { time });
  const { catalog } = house.parts;
  for (let index = 0; index < 150; index++) {
    const owner = index % 2 ? 'ann' : 'bob';
    const { id } = await addPublished(catalog, newContent(`${index}`), { owner, name: `${index}` });
    await catalog.deleteFile(id, owner, 'trash');
  }
  const left = async (): Promise<number> =>
    (await catalog.trashTotalOf('ann')).files + (await catalog.trashTotalOf('bob')).files;
  move(HOUR_MS + 60_000);
  const stopped = trashJob({ ...house, ...house.parts, stopping: AbortSignal.abort() });
  await stopped.round();
  expect(await left()).toBe(150);
  await jobOf(house).round();
  expect(await left()).toBe(0);
});

test.skipIf(!hasPostgres())('a node leaves it to another one that is at it', async () => {
  const database = await createDatabase();
  const catalog = await openPostgresCatalog({ url: database.url });
  try {
    const house = await openHouse({}, { trashTtlMs: 0 }, { shared: { catalog, wake: createProcessWake() } });
    const { id } = await addPublished(catalog, newContent('x'), { owner: 'ann', name: 'x' });
    await catalog.deleteFile(id, 'ann', 'trash');
    const about = { name: 'another', version: '1', process: null, isAlone: false };
    await catalog.joinNode('another node', about);
    expect(await catalog.claim('emptying the trash', 'another node', 60_000)).toBe(true);
    await jobOf(house).round();
    expect(await catalog.trashTotalOf('ann')).toEqual({ files: 1, bytes: 100 });
    await catalog.unclaim('emptying the trash', 'another node');
    await jobOf(house).round();
    expect(await catalog.trashTotalOf('ann')).toEqual({ files: 0, bytes: 0 });
  } finally {
    await catalog.close();
    await database.drop();
  }
});
