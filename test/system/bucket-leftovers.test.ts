/** What crashes and lost answers leave in a bucket goes, and nothing else. */
import { expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { PREFIX } from '../harness/buckets.ts';
import { describeOverFaultyBuckets } from '../harness/faulty-bucket.ts';
import { PART } from '../harness/part.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { expectBytes, idOf, listFiles, offsetOf, openPatch } from './support.ts';

/** Less than a part: it becomes a tail. */
const FEW = 100_000;
const REFUSAL = { kind: 'answer', status: 403, code: 'AccessDenied' } as const;
const PATIENCE = { timeout: 20_000 };

describeOverFaultyBuckets('nothing is left', { service: 'shared' }, (ground) => {
  /** Kills the service while all of these calls are under way. */
  async function killDuring(placed: readonly { hit: Promise<void> }[], ...answers: Promise<unknown>[]): Promise<void> {
    for (const { hit } of placed) await hit;
    await ground.service.kill('SIGKILL');
    ground.proxy.clear();
    await Promise.all(answers);
    await ground.service.restart();
  }

  test('of a multipart upload whose beginning was answered to nobody', async () => {
    const before = (await ground.bucket.multiparts()).length;
    const bytes = makeBytes(PART + 17, 81);
    const location = await createUpload(ground.service.url, bytes.length);
    const operation = 'CreateMultipartUpload';
    // Begun, and neither told to the process nor to the next one.
    const stalled = ground.proxy.place({ operation, fault: { kind: 'stall', at: 'answer' } });
    const sending = openPatch(location, 0, bytes.length);
    await sending.write(bytes);
    await expect.poll(() => ground.bucket.multiparts(), PATIENCE).toHaveLength(before + 1);
    await killDuring([stalled], sending.answer);
    ground.proxy.place({ operation, fault: { kind: 'loseAnswer' } });
    expect((await patch(location, 0, bytes)).status).toBe(204);
    await expectBytes(location, bytes);
    const found = before + (ground.bucket.listsMultiparts ? 0 : 2);
    await expect.poll(() => ground.bucket.multiparts(), PATIENCE).toHaveLength(found);

    const ended = await createUpload(ground.service.url, bytes.length);
    ground.proxy.place({ operation, fault: { kind: 'loseAnswer' } });
    expect((await patch(ended, 0, bytes.subarray(0, PART + 1))).status).toBe(204);
    expect(await ground.bucket.multiparts()).toHaveLength(found + 2);
    expect((await send('DELETE', ended, { headers: { 'Tus-Resumable': '1.0.0' } })).status).toBe(204);
    expect(await ground.bucket.multiparts()).toHaveLength(ground.bucket.listsMultiparts ? found : found + 1);
  });

  test('of a multipart upload that a gateway began twice, once a job has seen it', async () => {
    const before = (await ground.bucket.multiparts()).length;
    const bytes = makeBytes(PART + 17, 84);
    const location = await createUpload(ground.service.url, bytes.length);
    ground.proxy.place({ operation: 'CreateMultipartUpload', fault: { kind: 'twice', answer: 'second' } });
    expect((await patch(location, 0, bytes)).status).toBe(204);
    expect(await ground.bucket.multiparts()).toHaveLength(before + 1);
    await ground.service.restart();
    await expect
      .poll(() => ground.bucket.multiparts(), PATIENCE)
      .toHaveLength(ground.bucket.listsMultiparts ? before : before + 1);
    await expectBytes(location, bytes);
  });

  test('of bytes that were folded into others just before a crash, a whole object or parts', async () => {
    const both = [1000, PART + 17].map((size) => makeBytes(size, 82));
    for (const bytes of both) {
      const first = await createUpload(ground.service.url, bytes.length);
      expect((await patch(first, 0, bytes)).status).toBe(204);
    }
    const before = await ground.bucket.keys();

    const removing = [1, 2].map((nth) =>
      ground.proxy.place({ operation: 'DeleteObject', nth, fault: { kind: 'stall' } }),
    );
    const second = await Promise.all(
      both.map(async (bytes) => {
        const location = await createUpload(ground.service.url, bytes.length);
        const sending = openPatch(location, 0, bytes.length);
        await sending.write(bytes);
        return { bytes, location, sending };
      }),
    );
    await killDuring(removing, ...second.map(({ sending }) => sending.answer));
    for (const { bytes, location } of second) expect(await offsetOf(location)).toBe(bytes.length);
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toEqual(before);
    for (const { bytes, location } of second) await expectBytes(location, bytes);
  });

  test('of an upload with a tail that was folded into another while nothing could be removed', async () => {
    const bytes = makeBytes(PART + 17, 86);
    const first = await createUpload(ground.service.url, bytes.length);
    expect((await patch(first, 0, bytes)).status).toBe(204);
    const before = await ground.bucket.keys();

    const second = await createUpload(ground.service.url, bytes.length);
    expect((await patch(second, 0, bytes.subarray(0, PART + 5))).status).toBe(204);
    ground.proxy.place({ operation: 'DeleteObject', times: 1000, fault: REFUSAL });
    expect((await patch(second, PART + 5, bytes.subarray(PART + 5))).status).toBe(204);
    // Of the bytes that are here already, the parts were not put together: only the tail is left.
    expect(await ground.bucket.keys()).toHaveLength(before.length + 1);
    await ground.service.kill('SIGKILL');
    ground.proxy.clear();
    await ground.service.restart();
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toEqual(before);
    await expectBytes(second, bytes);
  });

  test('of bytes that were folded into others while nothing could be removed, and whose file was deleted', async () => {
    const both = [1000, PART + 17].map((size) => makeBytes(size, 87));
    const urls = await Promise.all(
      both.map(async (bytes) => {
        const first = await createUpload(ground.service.url, bytes.length, { filename: 'first' });
        expect((await patch(first, 0, bytes)).status).toBe(204);
        return first;
      }),
    );
    const before = await ground.bucket.keys();
    const multiparts = (await ground.bucket.multiparts()).length;
    const refusing = (['DeleteObject', 'AbortMultipartUpload'] as const).map((operation) =>
      ground.proxy.place({ operation, times: Infinity, fault: REFUSAL }),
    );
    for (const bytes of both) {
      const second = await createUpload(ground.service.url, bytes.length, { filename: `second ${bytes.length}` });
      expect((await patch(second, 0, bytes)).status).toBe(204);
      const file = (await listFiles(ground.service)).find(({ name }) => name === `second ${bytes.length}`);
      expect((await send('DELETE', `${ground.service.url}/api/files/${file?.id}`)).status).toBe(204);
    }
    // Of the bytes that are here already, parts are not put together.
    expect(await ground.bucket.keys()).toHaveLength(before.length + 1);
    expect(await ground.bucket.multiparts()).toHaveLength(multiparts + 1);
    for (const refusal of refusing) refusal.remove();
    await ground.service.restart();
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toEqual(before);
    await expect.poll(() => ground.bucket.multiparts(), PATIENCE).toHaveLength(multiparts);
    for (const [index, bytes] of both.entries()) await expectBytes(urls[index] ?? '', bytes);
  });

  test('of an object that was stored without a commit, once its upload was ended while nothing could be removed', async () => {
    const bytes = makeBytes(1000, 88);
    const before = await ground.bucket.keys();
    const location = await createUpload(ground.service.url, bytes.length);
    const stalled = ground.proxy.place({ operation: 'PutObject', fault: { kind: 'stall', at: 'answer' } });
    const sending = openPatch(location, 0, bytes.length);
    await sending.write(bytes);
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toHaveLength(before.length + 1);
    await killDuring([stalled], sending.answer);
    ground.proxy.place({ operation: 'DeleteObject', times: Infinity, fault: REFUSAL });
    await send('DELETE', location, { headers: { 'Tus-Resumable': '1.0.0' } });
    expect((await head(location)).status).toBe(410);
    expect(await ground.bucket.keys()).toHaveLength(before.length + 1);
    ground.proxy.clear();
    await ground.service.restart();
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toEqual(before);
  });

  test('of an upload whose bytes somebody removed: it is told to be gone', async () => {
    const bytes = makeBytes(2 * PART, 85);
    const location = await createUpload(ground.service.url, bytes.length);
    expect((await patch(location, 0, bytes.subarray(0, FEW))).status).toBe(204);
    const tails = (await ground.bucket.keys()).filter((key) => key.includes(idOf(location)));
    expect(tails).toHaveLength(1);
    for (const key of tails) await ground.bucket.remove(PREFIX + key);
    expect((await patch(location, FEW, bytes.subarray(FEW))).status).toBe(410);
    expect((await head(location)).status).toBe(410);
  });

  test('of tails that a crash kept from being told, once their uploads have ended, and though a file is deleted before a job has seen its own', async () => {
    const before = await ground.bucket.keys();
    const stalled = [1, 2, 3].map((nth) =>
      ground.proxy.place({ operation: 'PutObject', key: /tails/, nth, fault: { kind: 'stall', at: 'answer' } }),
    );
    const uploads = await Promise.all(
      [PART - 5, PART - 4, PART + 17].map(async (size) => {
        const bytes = makeBytes(size, 83);
        const location = await createUpload(ground.service.url, size);
        const sending = openPatch(location, 0, size);
        await sending.write(bytes.subarray(0, FEW));
        sending.destroy();
        return { bytes, location, sending };
      }),
    );
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toHaveLength(before.length + uploads.length);
    await killDuring(stalled, ...uploads.map(({ sending }) => sending.answer));
    for (const { bytes, location } of uploads) {
      const offset = await offsetOf(location);
      expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    }
    // With its file the row of the upload goes: nobody could tell any more whose the tail is.
    const [kept, ...deleted] = uploads;
    for (const { location } of deleted)
      expect((await send('DELETE', location, { headers: { 'Tus-Resumable': '1.0.0' } })).status).toBe(204);
    await expect
      .poll(
        async () =>
          (await ground.bucket.keys()).filter((key) => deleted.some(({ location }) => key.includes(idOf(location)))),
        PATIENCE,
      )
      .toEqual([]);
    await ground.service.restart();
    await expect
      .poll(async () => (await ground.bucket.keys()).filter((key) => key.startsWith('tails/')), PATIENCE)
      .toEqual([]);
    expect(await ground.bucket.keys()).toHaveLength(before.length + 1);
    if (kept) await expectBytes(kept.location, kept.bytes);
  });
});
