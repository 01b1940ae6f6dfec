/** A full disk: clear refusals, nothing lost, and uploads resume once there is room. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, patch, send, TUS } from '../harness/tus.ts';
import { json, putFile } from '../http/support.ts';
import { CAN_MOUNT, mountSmallDisk } from './mounts.ts';
import { answered, expectBytes, listFiles, offsetOf, openPatch, storedNames, until, writtenBytes } from './support.ts';

const MIB = 1024 * 1024;

async function start(options: Parameters<typeof startService>[0]): Promise<RunningService> {
  const service = await startService(options);
  onTestFinished(() => service.stop());
  return service;
}

function post(service: RunningService): ReturnType<typeof send> {
  return send('POST', `${service.url}/uploads`, { headers: { ...TUS, 'Upload-Length': '10' } });
}

// Skipped without the right to mount: run the tests as root on Linux.
describe.skipIf(!CAN_MOUNT)('a full disk', () => {
  test('below the store: 507, and the upload resumes from where it was', async () => {
    const disk = mountSmallDisk('6M');
    const service = await start({ dataDir: disk.folder });
    const bytes = makeBytes(10 * MIB, 51);
    const location = await createUpload(service.url, bytes.length, { filename: 'large', md5: md5(bytes) });
    expect((await patch(location, 0, bytes.subarray(0, MIB))).status).toBe(204);
    expect(await patch(location, MIB, bytes.subarray(MIB))).toMatchObject({ status: 507, code: 'store_full' });
    await disk.fill();

    const offset = await offsetOf(location);
    expect(offset).toBeGreaterThanOrEqual(MIB);
    expect(await patch(location, offset, bytes.subarray(offset))).toMatchObject({ status: 507, code: 'store_full' });
    expect(await offsetOf(location)).toBeGreaterThanOrEqual(offset);
    expect((await send('GET', `${service.url}/check?md5=${md5(bytes)}`)).status).toBe(200);
    expect(await listFiles(service)).toEqual([]);
    expect((await send('GET', `${service.url}/healthz`)).status).toBe(200);
    expect((await send('GET', `${service.url}/readyz`)).status).toBe(503);

    disk.remount('size=40M');
    const goingOn = await offsetOf(location);
    // What was written before the disk was full is not sent again.
    expect(goingOn).toBeGreaterThan(4 * MIB);
    expect((await patch(location, goingOn, bytes.subarray(goingOn))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('and the service dies on it: the offset holds', async () => {
    const disk = mountSmallDisk('6M');
    const service = await start({ dataDir: disk.folder });
    const bytes = makeBytes(10 * MIB, 52);
    const location = await createUpload(service.url, bytes.length);
    await patch(location, 0, bytes.subarray(0, MIB));
    expect((await patch(location, MIB, bytes.subarray(MIB))).status).toBe(507);
    const offset = await offsetOf(location);
    await service.kill('SIGKILL');
    disk.remount('size=40M');
    await service.restart();
    expect(await offsetOf(location)).toBeGreaterThanOrEqual(offset);
    const goingOn = await offsetOf(location);
    expect((await patch(location, goingOn, bytes.subarray(goingOn))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('below a form: 507, and nothing is left of it once there is room', async () => {
    const disk = mountSmallDisk('6M');
    const service = await start({ dataDir: disk.folder });
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(makeBytes(10 * MIB, 53))]), 'form.bin');
    const answer = await fetch(`${service.url}/upload`, { method: 'POST', body: form });
    expect(answer.status).toBe(507);
    expect(await answer.json()).toMatchObject({ status: 'error', error: { code: 'store_full' } });
    expect(await storedNames(service)).toEqual([]);
    expect((await patch(await createUpload(service.url, 3), 0, 'abc')).status).toBe(204);
  });

  test('with a trash: deletions still come into it, and make room once they are for good, by request or by TRASH_TTL', async () => {
    const disk = mountSmallDisk('24M');
    const service = await start({ dataDir: disk.folder, env: { TRASH_TTL: '7d' } });
    const names = ['one', 'f/two', 'f/g/three'];
    const ids: string[] = [];
    for (const [index, filename] of names.entries())
      ids.push((await putFile(service.url, makeBytes(2 * MIB, 55 + index), { filename })).fileId);
    const remove = (path: string): ReturnType<typeof send> => send('DELETE', service.url + path);
    const trashed = async (): Promise<string[]> => {
      const page = json<{ files: { name: string }[] }>(await send('GET', `${service.url}/api/trash`));
      return page.files.map(({ name }) => name).toSorted();
    };

    await disk.fill();
    expect((await remove(`/api/files/${ids[0]}`)).status).toBe(204);
    expect(json(await remove('/api/folders?path=f'))).toMatchObject({ files: 2, nextCursor: null });
    expect(await trashed()).toEqual(names.toSorted());
    expect(await storedNames(service)).toHaveLength(3);
    expect(json(await remove(`/api/trash?id=${ids[0]}`))).toMatchObject({ files: 1, complete: true });
    expect(await storedNames(service)).toHaveLength(2);

    // There is as much room as that file took.
    const bytes = makeBytes(MIB, 58);
    const { fileId, url } = await putFile(service.url, bytes, { filename: 'new' });
    await expectBytes(url, bytes);
    expect((await remove(`/api/files/${fileId}`)).status).toBe(204);
    await disk.fill();
    await service.restart({ TRASH_TTL: '0' });
    await until('all is gone for good', async () => (await storedNames(service)).length === 0);
    expect(await trashed()).toEqual([]);
  });

  test('below the catalog: 507 on POST, HEAD answers, and what is under way is kept', async () => {
    const disk = mountSmallDisk('3M');
    const service = await start({ env: { DATABASE_URL: `sqlite:${disk.folder}/catalog.db` } });
    const bytes = makeBytes(200_000, 54);
    const location = await createUpload(service.url, bytes.length, { filename: 'catalog-full' });
    expect((await patch(location, 0, bytes.subarray(0, 1000))).status).toBe(204);
    const running = openPatch(location, 1000, bytes.length - 1000);
    await running.write(bytes.subarray(1000, 100_000));
    await until('its bytes are written', async () => (await writtenBytes(service, location)) === 100_000);

    await disk.fill();
    let refused = await post(service);
    // The log may have some room of its own left.
    for (let attempt = 0; refused.status === 201 && attempt < 1000; attempt++) refused = await post(service);
    expect(refused).toMatchObject({ status: 507, code: 'store_full' });
    // The reserve of the catalog has room for it.
    expect(await offsetOf(location)).toBe(100_000);
    await running.write(bytes.subarray(100_000));
    running.end();
    expect((await answered(running)).status).toBe(204);
    expect(await offsetOf(location)).toBe(bytes.length);
    await expectBytes(location, bytes);
    expect((await listFiles(service)).map(({ name }) => name)).toEqual(['catalog-full']);
    await disk.makeRoom();
    expect((await post(service)).status).toBe(201);
  });
});
