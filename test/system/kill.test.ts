/** Death of the service at any moment: what was told holds, what was interrupted is recovered. */
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { PART } from '../harness/part.ts';
import { describeOverCatalogs, type StoredService, type TestStore } from '../harness/stores.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { expectBytes, listFiles, offsetOf, openPatch } from './support.ts';
import { CAN_TRACE, injectAt } from './trace.ts';

/** Of two parts, where there are parts. */
const SIZE = PART + 300_011;

/** What the kernel is asked for between the last byte and the answer. */
const POINTS: Record<TestStore['catalog'], [call: string, nth: number][]> = {
  SQLite: [
    ['fdatasync', 1],
    // Writes to the catalog's log: the lease, the offset, the publication.
    ...[1, 3, 6, 9].map((nth): [string, number] => ['pwrite64', nth]),
  ],
  // Messages to the database and the bucket, and what wakes threads.
  PostgreSQL: [1, 4, 8, 12].map((nth): [string, number] => ['write', nth]),
};
/** Where bytes are a file. */
const POINTS_OF_A_FOLDER: [call: string, nth: number][] = [
  ['link', 1],
  ['rename', 1],
  ['fsync', 1],
  ['unlink', 1],
];

let seed = 100;

function newBytes(): Buffer {
  return makeBytes(SIZE, seed++);
}

describeOverCatalogs((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  /** Sends what is missing and compares what was published, told by HEAD and by the list. */
  async function finish(location: string, bytes: Buffer, name: string): Promise<void> {
    const offset = await offsetOf(location);
    if (offset < bytes.length) {
      expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    }
    expect(await offsetOf(location)).toBe(bytes.length);
    await expectBytes(location, bytes);
    const files = (await listFiles(service)).filter((file) => file.name === name);
    expect(files).toHaveLength(1);
    await expectBytes(files[0]?.url ?? '', bytes);
  }

  /** The same, where no other upload is under way. */
  async function finishAndCheck(location: string, bytes: Buffer, name: string): Promise<void> {
    await finish(location, bytes, name);
    await expect.poll(() => service.unfinished()).toEqual([]);
  }

  describe('SIGKILL in the middle of a PATCH', () => {
    const COMMITTED = 100_000;
    const SENT: [where: string, bytes: number][] = [
      ['before its first byte', 0],
      ['after a part of the first buffer', 40_000],
      ['half-way', Math.floor(SIZE / 2)],
      ['one byte before the end', SIZE - COMMITTED - 1],
    ];

    test('of several uploads, each of which has come further', async () => {
      const uploads = [];
      for (const [where, sent] of SENT) {
        const bytes = newBytes();
        const location = await createUpload(service.url, SIZE, { filename: where, md5: md5(bytes) });
        expect((await patch(location, 0, bytes.subarray(0, COMMITTED))).status).toBe(204);
        const second = openPatch(location, COMMITTED, SIZE - COMMITTED);
        await second.write(bytes.subarray(COMMITTED, COMMITTED + sent));
        await service.untilTaken(location, COMMITTED + sent);
        // Into a bucket, too: HEAD has it stored.
        expect(await offsetOf(location)).toBe(COMMITTED + sent);
        uploads.push({ where, sent, bytes, location, answer: second.answer });
      }

      await service.restart();
      for (const { where, sent, bytes, location, answer } of uploads) {
        expect(await answer).toBeInstanceOf(Error);
        expect(await offsetOf(location), where).toBe(COMMITTED + sent);
        await finish(location, bytes, where);
      }
      await expect.poll(() => service.unfinished()).toEqual([]);
    });

    test('at the same upload again and again', async () => {
      const bytes = newBytes();
      const location = await createUpload(service.url, SIZE, { filename: 'often', md5: md5(bytes) });
      // Before an upload's first commit nothing beyond it is trusted.
      expect((await patch(location, 0, bytes.subarray(0, 1))).status).toBe(204);
      let told = 1;
      for (const at of [0.2, 0.2, 0.5, 0.9]) {
        const upTo = Math.floor(SIZE * at);
        const part = openPatch(location, told, SIZE - told);
        await part.write(bytes.subarray(told, upTo));
        await service.untilTaken(location, upTo);
        expect(await offsetOf(location)).toBe(upTo);
        await service.restart();
        await part.answer;
        told = await offsetOf(location);
        expect(told).toBe(upTo);
      }
      await finishAndCheck(location, bytes, 'often');
    });
  });

  // Skipped without strace and the right to trace: half-done.test.ts makes the states of these windows by hand.
  describe.skipIf(!CAN_TRACE)('SIGKILL between the last byte and the answer', () => {
    test.each([...POINTS[store.catalog], ...(store.name === 'local' ? POINTS_OF_A_FOLDER : [])])(
      'before %s number %i',
      async (call, nth) => {
        const bytes = newBytes();
        const name = `${call}-${nth}`;
        const location = await createUpload(service.url, SIZE, { filename: name, md5: md5(bytes) });
        expect((await patch(location, 0, bytes.subarray(0, SIZE - 5000))).status).toBe(204);
        const trace = await injectAt(service.pid, call, `signal=KILL:when=${nth}`);
        const last = openPatch(location, SIZE - 5000, 5000);
        await last.write(bytes.subarray(SIZE - 5000));
        last.end();
        const answer = await last.answer;
        const complete = !(answer instanceof Error);
        if (complete) expect(answer.status).toBe(204);
        await service.restart();
        await trace.stop();

        if (complete) expect((await head(location)).headers['upload-offset']).toBe(String(SIZE));
        await finishAndCheck(location, bytes, name);
      },
    );
  });

  test('SIGKILL at some moment around the last byte', async () => {
    // Anywhere in the few milliseconds that a publication takes: the moment is the point here.
    for (const ms of store.name === 'local' ? [0, 2, 4, 6, 8] : [0, 4, 8]) {
      const bytes = newBytes();
      const location = await createUpload(service.url, SIZE, { filename: `moment-${ms}` });
      const first = await patch(location, 0, bytes.subarray(0, SIZE - 1));
      expect(first.status).toBe(204);
      const last = openPatch(location, SIZE - 1, 1);
      await last.write(bytes.subarray(SIZE - 1));
      last.end();
      await wait(ms);
      await service.restart();
      const answer = await last.answer;
      if (!(answer instanceof Error)) expect(await offsetOf(location)).toBe(SIZE);
      await finishAndCheck(location, bytes, `moment-${ms}`);
    }
  });
});
