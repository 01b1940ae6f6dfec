/** What crashes and lost answers leave in a bucket goes, and nothing else. */
import { expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { describeOverFaultyBuckets } from '../harness/faulty-bucket.ts';
import { PART } from '../harness/stores.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { expectBytes, listFiles, offsetOf, openPatch } from './support.ts';

const MIB = 1024 * 1024;
const REFUSAL = { kind: 'answer', status: 403, code: 'AccessDenied' } as const;
const PATIENCE = { timeout: 20_000 };

describeOverFaultyBuckets('nothing is left', { service: 'own' }, (ground) => {
  async function killDuring(placed: { hit: Promise<void> }, answer: Promise<unknown>): Promise<void> {
    await placed.hit;
    await ground.service.kill('SIGKILL');
    ground.proxy.clear();
    await answer;
    await ground.service.restart();
  }

  test('of a multipart upload whose beginning was answered to nobody', async () => {
    const bytes = makeBytes(PART + 17, 81);
    const location = await createUpload(ground.service.url, bytes.length);
    const operation = 'CreateMultipartUpload';
    // Begun, and neither told to the process nor to the next one.
    const stalled = ground.proxy.place({ operation, fault: { kind: 'stall', at: 'answer' } });
    const sending = openPatch(location, 0, bytes.length);
    await sending.write(bytes);
    await expect.poll(() => ground.bucket.multiparts(), PATIENCE).toHaveLength(1);
    await killDuring(stalled, sending.answer);
    ground.proxy.place({ operation, fault: { kind: 'loseAnswer' } });
    expect((await patch(location, 0, bytes)).status).toBe(204);
    await expectBytes(location, bytes);
    const found = ground.bucket.listsMultiparts ? 0 : 2;
    await expect.poll(() => ground.bucket.multiparts(), PATIENCE).toHaveLength(found);

    const ended = await createUpload(ground.service.url, bytes.length);
    ground.proxy.place({ operation, fault: { kind: 'loseAnswer' } });
    expect((await patch(ended, 0, bytes.subarray(0, PART + 1))).status).toBe(204);
    expect(await ground.bucket.multiparts()).toHaveLength(found + 2);
    expect((await send('DELETE', ended, { headers: { 'Tus-Resumable': '1.0.0' } })).status).toBe(204);
    expect(await ground.bucket.multiparts()).toHaveLength(ground.bucket.listsMultiparts ? 0 : found + 1);
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

  test.each([1000, PART + 17])('of %i bytes that were folded into others just before a crash', async (size) => {
    const bytes = makeBytes(size, 82);
    const first = await createUpload(ground.service.url, size);
    expect((await patch(first, 0, bytes)).status).toBe(204);
    const before = await ground.bucket.keys();

    const second = await createUpload(ground.service.url, size);
    const removing = ground.proxy.place({ operation: 'DeleteObject', fault: { kind: 'stall' } });
    const sending = openPatch(second, 0, size);
    await sending.write(bytes);
    await killDuring(removing, sending.answer);
    expect(await offsetOf(second)).toBe(size);
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toEqual(before);
    await expectBytes(second, bytes);
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

  test.each([1000, PART + 17])(
    'of %i bytes that were folded into others while nothing could be removed, and whose file was deleted',
    async (size) => {
      const bytes = makeBytes(size, 87);
      const first = await createUpload(ground.service.url, size, { filename: 'first' });
      expect((await patch(first, 0, bytes)).status).toBe(204);
      const before = await ground.bucket.keys();

      const second = await createUpload(ground.service.url, size, { filename: 'second' });
      const multiparts = (await ground.bucket.multiparts()).length;
      const refusing = (['DeleteObject', 'AbortMultipartUpload'] as const).map((operation) =>
        ground.proxy.place({ operation, times: Infinity, fault: REFUSAL }),
      );
      expect((await patch(second, 0, bytes)).status).toBe(204);
      const file = (await listFiles(ground.service)).find(({ name }) => name === 'second');
      expect((await send('DELETE', `${ground.service.url}/api/files/${file?.id}`)).status).toBe(204);
      // Of the bytes that are here already, parts are not put together.
      const isWhole = size < PART;
      expect(await ground.bucket.keys()).toHaveLength(before.length + (isWhole ? 1 : 0));
      expect(await ground.bucket.multiparts()).toHaveLength(multiparts + (isWhole ? 0 : 1));
      for (const refusal of refusing) refusal.remove();
      await ground.service.restart();
      await expect.poll(() => ground.bucket.keys(), PATIENCE).toEqual(before);
      await expect.poll(() => ground.bucket.multiparts(), PATIENCE).toHaveLength(multiparts);
      await expectBytes(first, bytes);
    },
  );

  test('of an object that was stored without a commit, once its upload was ended while nothing could be removed', async () => {
    const bytes = makeBytes(1000, 88);
    const before = await ground.bucket.keys();
    const location = await createUpload(ground.service.url, bytes.length);
    const stalled = ground.proxy.place({ operation: 'PutObject', fault: { kind: 'stall', at: 'answer' } });
    const sending = openPatch(location, 0, bytes.length);
    await sending.write(bytes);
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toHaveLength(before.length + 1);
    await killDuring(stalled, sending.answer);
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
    expect((await patch(location, 0, bytes.subarray(0, MIB))).status).toBe(204);
    await ground.bucket.empty();
    expect((await patch(location, MIB, bytes.subarray(MIB))).status).toBe(410);
    expect((await head(location)).status).toBe(410);
  });

  test('of a tail that a crash kept from being told, once its upload has ended', async () => {
    const bytes = makeBytes(PART - 5, 83);
    const before = await ground.bucket.keys();
    const location = await createUpload(ground.service.url, bytes.length);
    const stalled = ground.proxy.place({
      operation: 'PutObject',
      key: /tails/,
      fault: { kind: 'stall', at: 'answer' },
    });
    const sending = openPatch(location, 0, bytes.length);
    await sending.write(bytes.subarray(0, MIB));
    sending.destroy();
    await expect.poll(() => ground.bucket.keys(), PATIENCE).toHaveLength(before.length + 1);
    await killDuring(stalled, sending.answer);
    const offset = await offsetOf(location);
    expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    await ground.service.restart();
    await expect
      .poll(async () => (await ground.bucket.keys()).filter((key) => key.startsWith('tails/')), PATIENCE)
      .toEqual([]);
    await expectBytes(location, bytes);
  });

  test.each([PART - 5, PART + 17])(
    'of a tail that a crash kept from being told, though the file of %i bytes is deleted before a job has seen it',
    async (size) => {
      const bytes = makeBytes(size, 89);
      const before = await ground.bucket.keys();
      const location = await createUpload(ground.service.url, size, { filename: 'deleted' });
      const stalled = ground.proxy.place({
        operation: 'PutObject',
        key: /tails/,
        fault: { kind: 'stall', at: 'answer' },
      });
      const sending = openPatch(location, 0, size);
      await sending.write(bytes.subarray(0, MIB));
      sending.destroy();
      await expect.poll(() => ground.bucket.keys(), PATIENCE).toHaveLength(before.length + 1);
      await killDuring(stalled, sending.answer);
      const offset = await offsetOf(location);
      expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
      // With its file the row of the upload goes: nobody could tell any more whose the tail is.
      expect((await send('DELETE', location, { headers: { 'Tus-Resumable': '1.0.0' } })).status).toBe(204);
      await expect.poll(() => ground.bucket.keys(), PATIENCE).toEqual(before);
    },
  );
});
