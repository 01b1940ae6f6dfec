/** Jobs: silent uploads expire, also while a request holds them; bytes that nobody needs are removed. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rmdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CatalogError, type UploadRecord } from '../../server/catalog/catalog.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import type { Job } from '../../server/jobs/job.ts';
import { createJobs as createAllJobs, runJobs } from '../../server/jobs/jobs.ts';
import { newUploadLink } from '../catalog/contract-sent-uploads.ts';
import { makeBytes } from '../harness/bytes.ts';
import { UNKNOWN_MS } from '../../stores/store.ts';
import { describeOverFolderAndBucket } from '../harness/stores.ts';
import { type House, openHouse } from '../uploads/support.ts';

const bytes = makeBytes(1000, 56);
const TTL_MS = 400;
const DAY_MS = 24 * 3_600_000;

interface Writing {
  source: PassThrough;
  /** How it ended; its lease is released then. */
  ended: Promise<unknown>;
}

/** A PATCH under way: it stops when it is asked to, as one over HTTP does. */
async function write({ uploads }: House, id: string): Promise<Writing> {
  const source = new PassThrough();
  const writer = await uploads.open(id, 'anyone', { signal: new AbortController().signal });
  async function receive(): Promise<unknown> {
    try {
      return await writer.append(source, { maxBytes: bytes.length });
    } catch (error) {
      return error;
    } finally {
      await writer.release();
    }
  }
  return { source, ended: receive() };
}

async function rowOf({ parts }: House, id: string): Promise<UploadRecord> {
  const upload = await parts.catalog.findUpload(id);
  if (!upload) throw new Error('no such upload');
  return upload;
}

async function passExpiry(house: House, id: string): Promise<void> {
  await wait(Math.max(0, (await rowOf(house, id)).expiresAt - Date.now()) + 1);
}

function runAllJobs(house: House): Promise<void> {
  return runJobs(createJobs(house), house.parts);
}

/** One round of each job. */
async function runEachOnce(house: House): Promise<void> {
  for (const job of createJobs(house)) await job.round();
}

function createJobs({ parts, writers, recovery, finals }: House): Job[] {
  return createAllJobs({ ...parts, writers, recovery, finals });
}

describeOverFolderAndBucket((store) => {
  test('an upload whose writer is silent expires', async () => {
    const house = await openHouse(store.newPlace(), { uploadTtlMs: TTL_MS });
    const id = await house.begin(bytes);
    const first = await write(house, id);
    first.source.end(bytes.subarray(0, 100));
    await first.ended;
    const writing = await write(house, id);
    await passExpiry(house, id);
    expect(await rowOf(house, id)).toMatchObject({ state: 'receiving', offset: 100 });
    const working = runAllJobs(house);
    expect(await writing.ended).toMatchObject({ code: 'upload_taken_over' });
    await expect.poll(async () => (await rowOf(house, id)).state).toBe('expired');
    house.stop();
    await working;
  });

  test('an upload whose writer has received bytes since its last commit does not expire', async () => {
    const house = await openHouse(store.newPlace(), { uploadTtlMs: TTL_MS });
    const id = await house.begin(bytes);
    const writing = await write(house, id);
    writing.source.write(bytes.subarray(0, 100));
    await passExpiry(house, id);
    expect(await rowOf(house, id)).toMatchObject({ offset: 0 });
    const working = runAllJobs(house);
    expect(await writing.ended).toMatchObject({ code: 'upload_taken_over' });
    // Waits for the lease behind the expiry.
    const next = await house.writers.open(await rowOf(house, id), { signal: new AbortController().signal });
    expect(await rowOf(house, id)).toMatchObject({ state: 'receiving', offset: 100 });
    await next.release();
    house.stop();
    await working;
  });

  test('an upload by a link that is revoked ends, also one that is being written; those of other links stay', async () => {
    const house = await openHouse(store.newPlace(), { uploadTtlMs: 60_000 });
    const { catalog } = house.parts;
    const links = [newUploadLink({}, { owner: 'anyone' }), newUploadLink({}, { owner: 'anyone' })];
    const ids: string[] = [];
    for (const link of links) {
      await catalog.createLink(link, 10);
      const [id, sent] = [randomUUID(), { linkId: link.id, sender: null, note: null }];
      const nothing = { md5: null, sha1: null, sha256: null, filename: null, filetype: null, metadata: '' };
      await house.uploads.begin({ id, owner: 'anyone', sent, declaration: { ...nothing, size: bytes.length } });
      ids.push(id);
    }
    const [revoked = '', kept = ''] = ids;
    const writing = await write(house, revoked);
    await catalog.revokeLink(links[0]?.id ?? '', 'anyone');
    await runEachOnce(house);
    expect(await writing.ended).toMatchObject({ code: 'upload_taken_over' });
    expect(await rowOf(house, revoked)).toMatchObject({ state: 'terminated', reason: 'link_revoked' });
    expect(await rowOf(house, kept)).toMatchObject({ state: 'receiving' });
    house.stop();
  });

  test('a clock that jumps is not time that has passed, to any job', async () => {
    let offMs = 0;
    const time = {
      wallMs: () => Date.now() + offMs,
      elapsedMs: () => performance.now(),
      uptimeMs: () => performance.now(),
      bootId: null,
    };
    const house = await openHouse(store.newPlace(), { uploadTtlMs: 60_000 }, { time });
    const [waiting, begun] = [await house.begin(bytes), await house.begin(bytes)];
    const writing = await write(house, begun);
    writing.source.end(bytes.subarray(0, 100));
    await writing.ended;
    // A day ahead: both would be over. A day back: one begun now would be, once the clock is right again.
    for (const jump of [DAY_MS, -DAY_MS, 0]) {
      offMs = jump;
      const late = await house.begin(bytes);
      await runEachOnce(house);
      for (const id of [waiting, begun, late]) expect(await rowOf(house, id)).toMatchObject({ state: 'receiving' });
      expect(await house.uploads.view(begun, 'anyone')).toMatchObject({ offset: 100 });
    }
  });
});

test('bytes that the catalog does not know wait for a week: it may be an older copy', async () => {
  const house = await openHouse({});
  const ended = await house.begin(bytes);
  await house.parts.catalog.endUpload(ended, null, 'terminated', null);
  const files = join(house.folder, 'files');
  const [young, old] = ['tmp_young', 'tmp_old'];
  for (const name of [young, old, `tmp_${ended}`]) await writeFile(join(files, name), 'bytes');
  const almost = new Date(Date.now() - UNKNOWN_MS + 60_000);
  const past = new Date(Date.now() - UNKNOWN_MS - 1000);
  await utimes(join(files, young), almost, almost);
  await utimes(join(files, old), past, past);
  await runEachOnce(house);
  // What the catalog knows to have ended goes at once.
  expect((await readdir(files)).filter((name) => name.startsWith('tmp_'))).toEqual([young]);
});

/** A file whose deletion has left its bytes: its key, and where they are. */
async function deleteInVain(house: House): Promise<{ key: string; putBack: () => Promise<void> }> {
  const upload = await house.begin(bytes);
  const writing = await write(house, upload);
  writing.source.end(bytes);
  await writing.ended;
  const { fileId } = await rowOf(house, upload);
  const file = await house.parts.catalog.findFile(fileId ?? '', 'anyone');
  const key = file?.content.key ?? '';
  const path = join(house.folder, 'files', key);
  // A folder cannot be unlinked.
  await rename(path, `${path}.away`);
  await mkdir(path);
  await createFileActions(house.parts).remove(fileId ?? '', 'anyone');
  const putBack = async (): Promise<void> => {
    await rmdir(path);
    await rename(`${path}.away`, path);
  };
  return { key, putBack };
}

test('bytes of a deleted content that could not be removed are removed by a later round', async () => {
  const house = await openHouse({});
  const { key, putBack } = await deleteInVain(house);
  await runEachOnce(house);
  expect(await house.parts.catalog.listRemovals(0, 10)).toMatchObject([{ key }]);
  await putBack();
  await runEachOnce(house);
  expect(await house.parts.store.contentSize(key)).toBeUndefined();
  expect(await house.parts.catalog.listRemovals(0, 10)).toEqual([]);
});

test('but not where they are those of a content again', async () => {
  const house = await openHouse({});
  const { key, putBack } = await deleteInVain(house);
  await putBack();
  const writing = await write(house, await house.begin(bytes));
  writing.source.end(bytes);
  await writing.ended;
  await runEachOnce(house);
  expect(await house.parts.store.contentSize(key)).toBe(bytes.length);
});

test('uploads that cannot be ended do not keep later ones from expiring', async () => {
  const house = await openHouse({}, { uploadTtlMs: 1 });
  const { catalog } = house.parts;
  const stuck = new Set<string>();
  for (let count = 0; count < 120; count++) stuck.add(await house.begin(bytes));
  const last = await house.begin(bytes);
  await passExpiry(house, last);
  const { endUpload } = catalog;
  catalog.endUpload = async (id, ...rest) => {
    if (stuck.has(id)) throw new CatalogError('failed', 'in the way');
    return endUpload(id, ...rest);
  };
  await runEachOnce(house);
  expect(await rowOf(house, last)).toMatchObject({ state: 'expired' });
  for (const id of stuck) expect(await rowOf(house, id)).toMatchObject({ state: 'receiving' });
});
