import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { json, putFile, type Stored } from './support.ts';

const BYTES = makeBytes(1_234, 61);

let service: RunningService;
let stored: Stored;
beforeAll(async () => {
  service = await startService({ env: { DIGESTS: 'md5,sha1,sha256', TZ: 'Asia/Shanghai' } });
  stored = await putFile(service.url, BYTES, { filename: 'old.txt' });
});
afterAll(() => service.stop());

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };

describe('the older API', () => {
  test('GET /file/upload is the page; its form works without script', async () => {
    const answer = await send('GET', `${service.url}/file/upload`);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'");
    expect(answer.body).toMatch(/<form [^>]*action="\/file\/upload" method="post" enctype="multipart\/form-data"/);
    expect(answer.body).toMatch(/<input type="file" name="file"/);
    // But for the number that makes its own scripts known to the browser, new each time.
    const [here, home] = [answer, await send('GET', `${service.url}/`)].map(({ body }) =>
      body.replaceAll(/nonce="[^"]+"/g, ''),
    );
    expect(here).toBe(home);
  });

  test('GET /file/upload/suc', async () => {
    const answer = await send('GET', `${service.url}/file/upload/suc`);
    expect([answer.status, answer.body]).toEqual([200, 'Upload finished!']);
  });

  test('GET /file/meta by MD5, SHA-1 and SHA-256', async () => {
    // Computed a moment after publication; to ask by it is to wait for it.
    const filehashOfBytes = createHash('sha1').update(BYTES).digest('hex');
    await send('GET', `${service.url}/file/meta?filehash=${filehashOfBytes}`);
    const file = json<{ sha1: string; sha256: string; uploadedAt: string }>(
      await send('GET', `${service.url}/api/files/${stored.fileId}`),
    );
    expect(file.sha1).toBe(filehashOfBytes);
    expect(file.sha256).toBe(sha256(BYTES));
    const expected = {
      FileSha1: file.sha1,
      FileMd5: md5(BYTES),
      FileName: 'old.txt',
      FileSize: 1_234,
      Location: stored.url,
      // The service's own time zone, eight hours ahead.
      UploadAt: new Date(Math.floor(Date.parse(file.uploadedAt) / 1000) * 1000 + 8 * 3_600_000)
        .toISOString()
        .replace('T', ' ')
        .slice(0, 19),
    };
    for (const filehash of [md5(BYTES), md5(BYTES).toUpperCase(), file.sha1, file.sha256]) {
      const answer = await send('GET', `${service.url}/file/meta?filehash=${filehash}`);
      expect([answer.status, json(answer)], filehash).toEqual([200, expected]);
    }
  });

  test('GET /file/query lists the newest first, up to limit', async () => {
    await putFile(service.url, 'newest', { filename: 'newest.txt' });
    const one = json<{ FileName: string }[]>(await send('GET', `${service.url}/file/query?limit=1`));
    expect(one.map((file) => file.FileName)).toEqual(['newest.txt']);
    const all = json<{ FileName: string }[]>(await send('GET', `${service.url}/file/query`));
    expect(all.map((file) => file.FileName)).toEqual(expect.arrayContaining(['newest.txt', 'old.txt']));
    for (const limit of ['0', '-1', '1001', 'x', '1.5']) {
      expect((await send('GET', `${service.url}/file/query?limit=${limit}`)).code, limit).toBe('invalid_field');
    }
  });

  test('GET /file/download saves, with ranges', async () => {
    const url = `${service.url}/file/download?filehash=${md5(BYTES)}`;
    const whole = await send('GET', url);
    expect([whole.status, whole.headers['content-length']]).toEqual([200, '1234']);
    expect(whole.headers['content-disposition']).toBe('attachment; filename="old.txt"');
    const part = await send('GET', url, { headers: { Range: 'bytes=1200-' } });
    expect([part.status, part.headers['content-range']]).toEqual([206, 'bytes 1200-1233/1234']);
  });

  test('POST /file/update renames, by query or by form', async () => {
    const renamable = await putFile(service.url, 'to rename', { filename: 'before.txt' });
    const filehash = md5(Buffer.from('to rename'));
    const byQuery = await send('POST', `${service.url}/file/update?op=0&filehash=${filehash}&filename=between.txt`);
    expect([byQuery.status, json(byQuery)['FileName']]).toEqual([200, 'between.txt']);
    const body = new URLSearchParams({ op: '0', filehash, filename: '之后.md' }).toString();
    const byForm = await send('POST', `${service.url}/file/update`, { headers: FORM, body });
    expect(json(byForm)).toMatchObject({ FileName: '之后.md', FileMd5: filehash, FileSize: 9 });
    const file = json(await send('GET', `${service.url}/api/files/${renamable.fileId}`));
    expect([file['name'], file['type']]).toEqual(['之后.md', 'text/markdown']);
  });

  test('POST /file/update: another op is 403, another method 405', async () => {
    for (const op of ['1', '', '00', 'delete', undefined]) {
      const query = new URLSearchParams({
        filehash: md5(BYTES),
        filename: 'x.txt',
        ...(op === undefined ? {} : { op }),
      });
      const answer = await send('POST', `${service.url}/file/update?${query.toString()}`);
      expect([answer.status, json(answer)]).toEqual([
        403,
        { status: 'error', error: { code: 'forbidden_operation', field: 'op', message: expect.any(String) } },
      ]);
    }
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await send(method, `${service.url}/file/update?op=0&filehash=${md5(BYTES)}&filename=x.txt`);
      expect([answer.status, answer.headers.allow, answer.code]).toEqual([405, 'POST, OPTIONS', 'method_not_allowed']);
      expect(json(answer)['status']).toBe('error');
    }
  });

  test.each(['', '..', '.', 'a/b', 'a\\b', 'a\nb', 'a\0b', 'x'.repeat(256)])(
    'the new name %j is 400',
    async (filename) => {
      const query = new URLSearchParams({ op: '0', filehash: md5(BYTES), filename });
      const answer = await send('POST', `${service.url}/file/update?${query.toString()}`);
      expect([answer.status, json(answer)]).toMatchObject([
        400,
        { error: { code: 'invalid_field', field: 'filename' } },
      ]);
      expect(json(await send('GET', `${service.url}/api/files/${stored.fileId}`))['name']).toBe('old.txt');
    },
  );

  test.each(['POST', 'DELETE'])('%s /file/delete removes the file and its bytes', async (method) => {
    const gone = await putFile(service.url, `delete by ${method}`, { filename: 'gone.txt' });
    const filehash = md5(Buffer.from(`delete by ${method}`));
    const answer = await send(method, `${service.url}/file/delete?filehash=${filehash}`);
    expect([answer.status, json(answer)]).toEqual([200, { status: 'ok' }]);
    expect((await send('GET', gone.url)).status).toBe(404);
    const again = await send(method, `${service.url}/file/delete?filehash=${filehash}`);
    expect([again.status, json(again)]).toMatchObject([404, { status: 'error', error: { code: 'not_found' } }]);
  });

  test('an unknown filehash is 404, an invalid one 400', async () => {
    for (const [method, path] of [
      ['GET', '/file/meta?'],
      ['GET', '/file/download?'],
      ['POST', '/file/update?op=0&filename=x&'],
      ['POST', '/file/delete?'],
      ['DELETE', '/file/delete?'],
    ] as const) {
      for (const [filehash, status] of [
        ['0'.repeat(32), 404],
        ['0'.repeat(40), 404],
        ['0'.repeat(64), 404],
        ['0'.repeat(33), 400],
        ['', 400],
        ['../../etc/passwd', 400],
      ] as const) {
        const answer = await send(method, `${service.url}${path}filehash=${encodeURIComponent(filehash)}`);
        expect([answer.status, json(answer)['status']], `${method} ${path}${filehash}`).toEqual([status, 'error']);
      }
      expect((await send(method, service.url + path)).status).toBe(400);
    }
  });
});
