/** What is abandoned goes, and answers 410 for a while; what is finished stays. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { createUpload, head, patch, send, TUS } from '../harness/tus.ts';
import { leaveAt, prepare } from './prepare.ts';
import { answered, expectBytes, idOf, listFiles, openPatch, storedNames } from './support.ts';

/** Until the clock has passed what Upload-Expires said. */
async function passExpiry(header: string | string[] | undefined): Promise<void> {
  // The header counts whole seconds, and leaves out their parts.
  await wait(Math.max(0, Date.parse(String(header)) + 1001 - Date.now()));
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  afterEach(() => service.stop());

  test('an abandoned upload expires, the expiry job removes its bytes; finished files and uploads under way stay', async () => {
    service = await store.startService({ UPLOAD_TTL: '3s' });
    // With a part and a tail, where there are such.
    const bytes = makeBytes(PART + 200_000, 71);
    const finished = await createUpload(service.url, bytes.length, { filename: 'finished', md5: md5(bytes) });
    expect((await patch(finished, 0, bytes)).status).toBe(204);
    const few = makeBytes(30, 73);
    const slow = await createUpload(service.url, few.length);
    const sending = openPatch(slow, 0, few.length);
    await sending.write(few.subarray(0, 10));
    const untouched = await createUpload(service.url, 100);
    const begun = await createUpload(service.url, bytes.length, { md5: md5(bytes.subarray(1)) });
    const last = await patch(begun, 0, bytes.subarray(0, PART + 1000));
    await passExpiry(last.headers['upload-expires']);
    await passExpiry((await head(slow)).headers['upload-expires']);

    for (const location of [untouched, begun]) {
      expect(await head(location)).toMatchObject({ status: 410 });
      expect(await patch(location, 0, 'abc')).toMatchObject({ status: 410, code: 'upload_expired' });
      expect(await send('GET', location)).toMatchObject({ status: 410 });
    }
    // It blocks no other upload.
    const check = await send('GET', `${service.url}/check?md5=${md5(bytes.subarray(1))}`);
    expect(JSON.parse(check.body)).toEqual({ status: 'notfound' });
    expect((await head(slow)).status).toBe(200);
    await sending.write(few.subarray(10));
    sending.end();
    expect((await answered(sending)).status).toBe(204);
    await expectBytes(slow, few);

    await service.restart();
    await expect.poll(() => service.unfinished()).toEqual([]);
    const contents = [await service.contentName(finished, md5(bytes)), await service.contentName(slow, md5(few))];
    expect((await service.contents()).toSorted()).toEqual(contents.toSorted());
    for (const location of [untouched, begun]) {
      expect(await head(location)).toMatchObject({ status: 410 });
      expect(await patch(location, 0, 'abc')).toMatchObject({ status: 410, code: 'upload_expired' });
    }
    await expectBytes(finished, bytes);
    expect((await head(finished)).status).toBe(200);
  });

  test('Upload-Expires moves with the bytes, not with looks at it; ended uploads answer 410, and leave no bytes', async () => {
    service = await store.startService({ UPLOAD_TTL: '1h' });
    const terminated = await createUpload(service.url, 100);
    await patch(terminated, 0, 'abc');
    expect((await send('DELETE', terminated, { headers: TUS })).status).toBe(204);
    const rejected = await createUpload(service.url, 3, { md5: md5(Buffer.from('something else')) });
    expect((await patch(rejected, 0, 'abc')).status).toBe(460);
    for (let life = 1; life <= 2; life++) {
      expect(await patch(terminated, 3, 'abc')).toMatchObject({ status: 410, code: 'upload_terminated' });
      expect(await patch(rejected, 3, '')).toMatchObject({ status: 410, code: 'upload_rejected' });
      expect(await head(terminated)).toMatchObject({ status: 410 });
      expect(await head(rejected)).toMatchObject({ status: 410 });
      expect([...(await service.contents()), ...(await service.unfinished())]).toEqual([]);
      if (life === 1) await service.restart();
    }

    const location = await createUpload(service.url, 100);
    const created = Date.parse(String((await head(location)).headers['upload-expires']));
    expect(created).toBeGreaterThan(Date.now() + 3_500_000);
    expect(created).toBeLessThanOrEqual(Date.now() + 3_600_000);
    await wait(1100);
    expect(Date.parse(String((await head(location)).headers['upload-expires']))).toBe(created);
    expect(Date.parse(String((await patch(location, 0, '')).headers['upload-expires']))).toBe(created);
    const moved = await patch(location, 0, 'a');
    expect(Date.parse(String(moved.headers['upload-expires']))).toBeGreaterThan(created);
    expect((await head(location)).headers['upload-expires']).toBe(moved.headers['upload-expires']);
  });

  test('an upload that has all its bytes is published at start, however late', async () => {
    const bytes = makeBytes(200_000, 74);
    const { folder, env } = await prepare(store.newPlace(), async (house) => {
      await leaveAt('received', house, bytes, 'late.bin', { livesMs: -60_000 });
    });
    service = await store.startService(env, folder);
    await expect.poll(() => listFiles(service)).toMatchObject([{ name: 'late.bin' }]);
    const [file] = await listFiles(service);
    await expectBytes(String(file?.url), bytes);
  });
});

test('an upload whose last bytes were written and not committed is published at start, however late', async () => {
  const service = await startService({ env: { UPLOAD_TTL: '1s' } });
  onTestFinished(() => service.stop());
  const bytes = makeBytes(200_000, 72);
  const location = await createUpload(service.url, bytes.length, { filename: 'late.bin' });
  const last = await patch(location, 0, bytes.subarray(0, 150_000));
  await service.kill('SIGKILL');
  await writeFile(join(service.dataDir, 'files', `tmp_${idOf(location)}`), bytes);
  await passExpiry(last.headers['upload-expires']);
  await service.restart();
  await expect.poll(() => storedNames(service)).toEqual([`${md5(bytes)}.bin`]);
  await expectBytes(location, bytes);
});
