/** `/api/archive`: several files as one ZIP file, whole or not at all. */
import { writeFile } from 'node:fs/promises';
import { get, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';
import { readZip, ZIP_READERS } from '../harness/zip-readers.ts';
import { bearer, json, putFile } from './support.ts';

interface Got {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
  /** The connection broke before all announced bytes had come. */
  isBroken: boolean;
}

/** Asks for an archive, and takes what comes. */
function ask(
  url: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      // A broken answer ends with an error, and then closes.
      answer.on('error', () => undefined);
      answer.on('close', () => {
        const { statusCode: status = 0 } = answer;
        resolve({ status, headers: answer.headers, bytes: Buffer.concat(chunks), isBroken: !answer.complete });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function archiveOf(base: string, ids: readonly string[], more = ''): string {
  return `${base}/api/archive?${ids.map((id) => `id=${id}`).join('&')}${more}`;
}

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const JSON_TYPE = { 'Content-Type': 'application/json' };

describeOverFolderAndBucket((store) => {
  const BYTES = { a: makeBytes(300_000, 61), b: Buffer.from('the tide comes in\n'), c: makeBytes(600_000, 62) };
  let service: StoredService;
  let ids: string[];
  beforeAll(async () => {
    service = await store.startService();
    ids = [];
    for (const [name, bytes] of [
      ['tide.bin', BYTES.a],
      ['Gezeiten 潮.txt', BYTES.b],
      ['tide.bin', BYTES.c],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      ids.push((await putFile(service.url, bytes, { filename: name })).fileId);
    }
  });
  afterAll(() => service.stop());

  test('has the files, in the order of their ids, and its length beforehand', async () => {
    const { status, headers, bytes } = await ask(archiveOf(service.url, ids));
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/zip',
      'content-length': String(bytes.length),
      'content-disposition': 'attachment; filename="files.zip"',
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
    });
    const entries = readZip(bytes);
    expect(entries.map(({ name }) => name)).toEqual(['tide.bin', 'Gezeiten 潮.txt', 'tide (2).bin', 'empty']);
    expect(entries.map(({ bytes: of }) => md5(of))).toEqual([BYTES.a, BYTES.b, BYTES.c, Buffer.alloc(0)].map(md5));
    for (const [index, { modifiedAt }] of entries.entries()) {
      const { uploadedAt } = json<{ uploadedAt: string }>(await send('GET', `${service.url}/api/files/${ids[index]}`));
      expect(modifiedAt).toBe(Math.floor(Date.parse(uploadedAt) / 1000) * 1000);
    }
  });

  // The format is the same, wherever the bytes come from.
  for (const reader of store.name === 'local' ? ZIP_READERS : []) {
    test.skipIf(!reader.isHere)(`opens in ${reader.name}`, async () => {
      const path = join(await makeTempFolder(), 'files.zip');
      await writeFile(path, (await ask(archiveOf(service.url, ids))).bytes);
      await reader.check(path);
    });
  }

  test('HEAD has the headers of GET', async () => {
    const [whole, head] = await Promise.all([
      ask(archiveOf(service.url, ids)),
      ask(archiveOf(service.url, ids), { method: 'HEAD' }),
    ]);
    const varying = { 'x-request-id': '', date: '' };
    expect({ ...head.headers, ...varying }).toEqual({ ...whole.headers, ...varying });
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
  });

  test('is the same by a form and by JSON; a file that is named twice is there once', async () => {
    const whole = await ask(archiveOf(service.url, ids));
    const twice = [...ids, ids[0] ?? ''];
    for (const [headers, body] of [
      [FORM, twice.map((id) => `id=${id}`).join('&')],
      [FORM, new URLSearchParams([['name', 'x'], ...twice.map((id): [string, string] => ['id', id])]).toString()],
      [JSON_TYPE, JSON.stringify({ id: twice })],
    ] as const) {
      const posted = await ask(`${service.url}/api/archive`, { method: 'POST', headers, body });
      expect(posted.status).toBe(200);
      expect(posted.bytes.equals(whole.bytes)).toBe(true);
      expect([posted.headers['etag'], posted.headers['accept-ranges']]).toEqual([whole.headers['etag'], 'none']);
    }
    expect((await ask(archiveOf(service.url, twice))).bytes.equals(whole.bytes)).toBe(true);
  });

  test('any range of it can be had, also after a restart, when no CRC is known', async () => {
    const url = archiveOf(service.url, ids);
    const { bytes, headers } = await ask(url);
    const etag = String(headers['etag']);
    const starts = [0, 1, 40, 200_000, 300_060, 400_000, bytes.length - 400, bytes.length - 30, bytes.length - 1];
    for (const [index, start] of starts.entries()) {
      if (index === 3 || index === 7) await service.restart();
      const part = await ask(url, { headers: { Range: `bytes=${start}-`, 'If-Range': etag } });
      expect([part.status, part.headers['content-range']]).toEqual([
        206,
        `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      ]);
      expect(part.bytes.equals(bytes.subarray(start)), `from ${start}`).toBe(true);
    }
    const middle = await ask(url, { headers: { Range: 'bytes=299000-310000' } });
    expect(middle.bytes.equals(bytes.subarray(299_000, 310_001))).toBe(true);
    expect((await ask(url, { headers: { Range: `bytes=${bytes.length}-` } })).status).toBe(416);
    expect((await ask(url, { headers: { 'If-None-Match': etag } })).status).toBe(304);
    expect((await ask(url, { headers: { 'If-Match': '"another"' } })).status).toBe(412);
    const other = await ask(url, { headers: { Range: 'bytes=5-', 'If-Range': '"another"' } });
    expect(other.status).toBe(200);
    expect(other.bytes.equals(bytes)).toBe(true);
  });

  test('another name, another order or other files are another version', async () => {
    const [one, two] = [ids[1] ?? '', (await putFile(service.url, 'to be renamed', { filename: 'x.txt' })).fileId];
    const tagOf = async (which: string[]): Promise<unknown> =>
      (await ask(archiveOf(service.url, which), { method: 'HEAD' })).headers['etag'];
    const before = await tagOf([one, two]);
    expect(await tagOf([one, two])).toBe(before);
    const others = [await tagOf([two, one]), await tagOf([one]), await tagOf([one, two, ids[3] ?? ''])];
    await send('PATCH', `${service.url}/api/files/${two}`, { headers: JSON_TYPE, body: '{"name":"y.txt"}' });
    others.push(await tagOf([one, two]));
    expect(new Set([before, ...others]).size).toBe(5);
  });

  describe('breaks off, and never looks whole, where', () => {
    /** The content of a file that no other test has, by its name in the store. */
    async function addLast(seed: number, length = 2_000_000): Promise<{ id: string; content: string }> {
      const before = new Set(await service.contents());
      const { fileId } = await putFile(service.url, makeBytes(length, seed), { filename: 'last.bin' });
      const [content = ''] = (await service.contents()).filter((name) => !before.has(name));
      return { id: fileId, content };
    }

    async function expectBroken(url: string, headers: Record<string, string> = {}): Promise<void> {
      const { status, bytes, isBroken, headers: got } = await ask(url, { headers });
      expect([status === 200 || status === 206, isBroken]).toEqual([true, true]);
      expect(bytes.length).toBeLessThan(Number(got['content-length']));
      expect(bytes.includes(Buffer.from('PK\u0005\u0006', 'latin1'))).toBe(false);
    }

    test('bytes rot', async () => {
      const { id, content } = await addLast(71);
      const { bytes: right } = await ask(archiveOf(service.url, [...ids, id]));
      await service.changeContent(content, (bytes) => {
        const flipped = Buffer.from(bytes);
        flipped[1_000_000] = (bytes[1_000_000] ?? 0) ^ 1;
        return flipped;
      });
      await expectBroken(archiveOf(service.url, [...ids, id]));
      await expect.poll(() => service.output()).toContain('bytes of a content are damaged');
      // A resumed one has the CRC of the right bytes, or breaks, too: of the rest alone nobody could tell.
      const rest = `bytes=${right.length - 500_000}-`;
      const { bytes: resumed } = await ask(archiveOf(service.url, [...ids, id]), { headers: { Range: rest } });
      expect(resumed.equals(right.subarray(-500_000))).toBe(true);
      await service.restart();
      await expectBroken(archiveOf(service.url, [...ids, id]), { Range: rest });
    });

    test('a content is gone, or shorter', async () => {
      const [gone, shorter] = [await addLast(72), await addLast(73)];
      await service.loseContent(gone.content);
      await service.changeContent(shorter.content, (bytes) => bytes.subarray(1));
      for (const { id } of [gone, shorter]) await expectBroken(archiveOf(service.url, [...ids, id]));
      await expect.poll(() => service.output()).toContain('bytes of a content are gone, or not all there');
    });

    test('a file is deleted on the way', async () => {
      // More than what lies in buffers between the service and a client that does not read.
      const { id: first } = await addLast(74, 12_000_000);
      const { id: last } = await addLast(75);
      const url = archiveOf(service.url, [first, last]);
      await new Promise<void>((resolve, reject) => {
        get(url, (answer) => {
          answer.once('readable', () => {
            void send('DELETE', `${service.url}/api/files/${last}`).then(() => answer.resume(), reject);
          });
          answer.on('end', () => reject(new Error('it looks whole')));
          answer.on('error', () => undefined);
          answer.on('close', () => resolve());
        }).on('error', reject);
      });
      expect((await send('GET', url)).status).toBe(404);
    });
  });

  test('clients that leave end its making, and a slow one gets all of it', async () => {
    const { fileId } = await putFile(service.url, makeBytes(12_000_000, 76), { filename: 'large.bin' });
    const url = archiveOf(service.url, [fileId, ...ids]);
    for (let round = 0; round < 5; round++) {
      await new Promise<void>((resolve, reject) => {
        get(url, (answer) => {
          answer.once('data', () => answer.destroy());
          answer.on('error', () => undefined);
          answer.on('close', () => resolve());
        }).on('error', reject);
      });
    }
    const slow = await new Promise<Buffer>((resolve, reject) => {
      get(url, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('error', reject);
        // Each chunk is taken in its own turn of the event loop, long after it has come.
        answer.on('readable', () => {
          const chunk = answer.read(16_384) as Buffer | null;
          const rest = chunk ?? (answer.read() as Buffer | null);
          if (rest) chunks.push(rest);
          setImmediate(() => answer.readableLength > 0 && answer.emit('readable'));
        });
        answer.on('end', () => resolve(Buffer.concat(chunks)));
      }).on('error', reject);
    });
    expect(slow.equals((await ask(url)).bytes)).toBe(true);
  });
});

describe('is refused', () => {
  let service: RunningService;
  let mine: string;
  let theirs: string;
  const [ANNA, BERT] = [bearer('annas-secret-1'), bearer('berts-secret-2')];
  beforeAll(async () => {
    service = await startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2' } });
    mine = (await putFile(service.url, 'mine', { filename: 'mine.txt' }, ANNA)).fileId;
    theirs = (await putFile(service.url, 'theirs', { filename: 'theirs.txt' }, BERT)).fileId;
  });
  afterAll(() => service.stop());

  function post(body: string, type: Record<string, string>): ReturnType<typeof send> {
    return send('POST', `${service.url}/api/archive`, { headers: { ...ANNA, ...type }, body });
  }

  test("with a file that is not there, or somebody else's, in the same words", async () => {
    const none = '00000000-0000-4000-8000-000000000000';
    for (const id of [none, theirs]) {
      const answer = await send('GET', archiveOf(service.url, [mine, id]), { headers: ANNA });
      expect([answer.status, answer.headers['content-length']]).toEqual([404, String(answer.body.length)]);
      expect(json(answer)).toEqual({
        error: { code: 'not_found', field: 'id', message: `There is no file with the id ${id}.` },
      });
    }
    const odd = await send('GET', `${service.url}/api/archive?id=%3Cscript%3E`, { headers: ANNA });
    expect(json(odd)).toMatchObject({ error: { message: 'There is no file with the id.' } });
  });

  test('without ids, with too many, and with what is no list of ids', async () => {
    const required = { status: 400, error: { code: 'invalid_field', field: 'id' } };
    for (const [body, type] of [
      ['', FORM],
      ['name=x', FORM],
      ['{}', JSON_TYPE],
      ['{"id":[]}', JSON_TYPE],
      ['{"id":"x"}', JSON_TYPE],
      ['{"id":[1]}', JSON_TYPE],
      ['{"id":[["x"]]}', JSON_TYPE],
    ] as const) {
      const answer = await post(body, type);
      expect({ status: answer.status, ...json(answer) }, body).toMatchObject(required);
    }
    expect((await send('GET', `${service.url}/api/archive`, { headers: ANNA })).status).toBe(400);
    const name = await post(JSON.stringify({ id: [mine], name: 1 }), JSON_TYPE);
    expect(json(name)).toMatchObject({ error: { code: 'invalid_field', field: 'name' } });

    const many = Array.from({ length: 100_001 }, (_, index) => index.toString(36));
    for (const answer of [
      await post(JSON.stringify({ id: many }), JSON_TYPE),
      await post(many.map((id) => `id=${id}`).join('&'), FORM),
    ]) {
      expect([answer.status, json<{ error: object }>(answer).error]).toEqual([
        400,
        { code: 'invalid_field', field: 'id', message: 'id must name at most 100000 files.' },
      ]);
    }
    const query = await send('GET', archiveOf(service.url, many.slice(0, 101)), { headers: ANNA });
    expect([query.status, json(query)]).toMatchObject([400, { error: { message: expect.stringContaining('100') } }]);
    expect((await post(`{"id":["${'x'.repeat(6_000_000)}"]}`, JSON_TYPE)).status).toBe(413);
    expect((await post('a&'.repeat(200), FORM)).code).toBe('invalid_request');
    expect((await post(`["${mine}"]`, JSON_TYPE)).code).toBe('invalid_request');
    expect((await post(mine, { 'Content-Type': 'text/plain' })).status).toBe(415);
  });

  test('with many ids, while there are many of others: each takes memory until its client has it', async () => {
    const url = `${service.url}/api/archive`;
    // They never send their bodies.
    const others = Array.from({ length: 5 }, () =>
      httpRequest(url, { method: 'POST', headers: { ...ANNA, ...FORM, 'Content-Length': 5 * 1024 * 1024 } }),
    );
    for (const other of others) other.on('error', () => undefined).flushHeaders();
    const large = Array.from({ length: 10_000 }, () => `id=${mine}`).join('&');
    await expect.poll(async () => (await post(large, FORM)).status).toBe(503);
    const refused = await post(large, FORM);
    expect([refused.code, refused.headers['retry-after']]).toEqual(['too_many_connections', '30']);
    expect((await post(`id=${mine}`, FORM)).status).toBe(200);
    for (const other of others) other.destroy();
    await expect.poll(async () => (await post(large, FORM)).status).toBe(200);
  });

  test('never because of the name that it is to have', async () => {
    for (const [name, taken] of [
      ['tides', 'tides.zip'],
      ['Gezeiten.ZIP', 'Gezeiten.ZIP'],
      ['../../evil', 'evil.zip'],
      ['..', 'files.zip'],
      ['', 'files.zip'],
      ['x'.repeat(300), `${'x'.repeat(251)}.zip`],
    ] as const) {
      const query = await send('HEAD', archiveOf(service.url, [mine], `&name=${encodeURIComponent(name)}`), {
        headers: ANNA,
      });
      const form = await post(new URLSearchParams({ id: mine, name }).toString(), FORM);
      for (const { headers } of [query, form]) {
        expect(headers['content-disposition'], name).toBe(`attachment; filename="${taken}"`);
      }
    }
  });
});
