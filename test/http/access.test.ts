import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { type Answer, createUpload, head, patch, send, TUS } from '../harness/tus.ts';
import { readZip } from '../harness/zip-readers.ts';
import { openPatch } from '../system/support.ts';
import { bearer, filePart, json, putFile, sendForm, storedNames } from './support.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
const TOKENS = { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2' };

let service: RunningService;
beforeAll(async () => {
  service = await startService({ env: TOKENS });
});
afterAll(() => service.stop());

function check(on: RunningService, bytes: Uint8Array, who: Record<string, string>, more = ''): Promise<Answer> {
  return send('GET', `${on.url}/check?md5=${md5(bytes)}${more}`, { headers: who });
}

describe('tokens', () => {
  test('the scheme is read in any letter case (RFC 9110 section 11.1)', async () => {
    const answer = await send('GET', `${service.url}/api/files`, {
      headers: { Authorization: 'bEARER annas-secret-1' },
    });
    expect(answer.status).toBe(200);
  });
});

describe('two owners', () => {
  test("do not see, change or end each other's uploads", async () => {
    const bytes = makeBytes(3_000, 81);
    const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) }, ANNA);
    await patch(location, 0, bytes.subarray(0, 1_000), ANNA);
    expect((await head(location, BERT)).status).toBe(404);
    expect((await patch(location, 1_000, bytes.subarray(1_000), BERT)).status).toBe(404);
    expect((await send('DELETE', location, { headers: { ...TUS, ...BERT } })).status).toBe(404);
    expect(json(await check(service, bytes, BERT))).toEqual({ status: 'notfound' });
    // A GET tells the offset to the owner alone.
    const [own, strange] = await Promise.all([ANNA, BERT].map((headers) => send('GET', location, { headers })));
    expect([own?.status, own?.headers['upload-offset']]).toEqual([404, '1000']);
    expect(strange?.status).toBe(404);
    expect(Object.keys(strange?.headers ?? {}).filter((name) => /^(?:upload|tidemark)-/.test(name))).toEqual([]);
    expect(json(await check(service, bytes, ANNA))).toMatchObject({ status: 'uploading', resume: { offset: 1_000 } });
    expect((await head(location, ANNA)).headers['upload-offset']).toBe('1000');
    expect((await patch(location, 1_000, bytes.subarray(1_000), ANNA)).status).toBe(204);
    expect((await send('GET', location, { headers: BERT })).status).toBe(404);
    expect((await head(location, BERT)).status).toBe(404);
    expect((await send('GET', location, { headers: ANNA })).status).toBe(200);
  });

  test('do not learn what the other owner is sending', async () => {
    const bytes = makeBytes(3_000, 87);
    const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) }, ANNA);
    const running = openPatch(location, 0, bytes.length, ANNA);
    await running.write(bytes.subarray(0, 1_000));
    await expect.poll(async () => json(await check(service, bytes, ANNA))['status']).toBe('uploading');
    expect(json(await check(service, bytes, BERT))).toEqual({ status: 'notfound' });
    running.destroy();
  });

  test("do not see, rename or delete each other's files; an unknown one answers the same", async () => {
    const bytes = makeBytes(3_000, 82);
    const stored = await putFile(service.url, bytes, { filename: 'annas.txt' }, ANNA);
    const unknown = md5(Buffer.from('unknown'));
    const type = { 'Content-Type': 'application/json' };
    for (const [method, path, missing, body] of [
      ['GET', `/files/${md5(bytes)}`, `/files/${unknown}`],
      ['GET', `/api/files/${stored.fileId}`, '/api/files/unknown'],
      ['PATCH', `/api/files/${stored.fileId}`, '/api/files/unknown', '{"name":"stolen.txt"}'],
      ['DELETE', `/api/files/${stored.fileId}`, '/api/files/unknown'],
      ['GET', `/file/meta?filehash=${md5(bytes)}`, `/file/meta?filehash=${unknown}`],
      ['GET', `/file/download?filehash=${md5(bytes)}`, `/file/download?filehash=${unknown}`],
      [
        'POST',
        `/file/update?op=0&filename=x&filehash=${md5(bytes)}`,
        `/file/update?op=0&filename=x&filehash=${unknown}`,
      ],
      ['POST', `/file/delete?filehash=${md5(bytes)}`, `/file/delete?filehash=${unknown}`],
    ] as const) {
      const options = { headers: { ...BERT, ...type }, ...(body ? { body } : {}) };
      const [theirs, nobodys] = [
        await send(method, service.url + path, options),
        await send(method, service.url + missing, options),
      ];
      expect([theirs.status, theirs.body], path).toEqual([404, nobodys.body]);
      expect(nobodys.status).toBe(404);
    }
    const listed = await send('GET', `${service.url}/api/files`, { headers: BERT });
    expect(listed.body).not.toContain('annas.txt');
    expect((await send('GET', `${service.url}/file/query`, { headers: BERT })).body).not.toContain('annas.txt');
    expect((await send('GET', stored.url, { headers: ANNA })).headers['content-disposition']).toContain('annas.txt');
  });

  test('share equal bytes on the disk, each under a name of their own', async () => {
    const bytes = makeBytes(3_000, 83);
    const annas = await putFile(service.url, bytes, { filename: 'annas-equal.txt' }, ANNA);
    const before = await storedNames(service);
    // INSTANT=owner: what another has is not here, until it has been sent.
    expect(json(await check(service, bytes, BERT, '&filename=berts.txt'))).toEqual({ status: 'notfound' });
    const sent = await sendForm(`${service.url}/upload?md5=${md5(bytes)}`, [[filePart('berts.txt'), bytes]], BERT);
    expect(json(sent)['status']).toBe('ok');
    expect(await storedNames(service)).toEqual(before);
    const address = `${service.url}/files/${md5(bytes)}.txt`;
    for (const [who, name] of [
      [ANNA, 'annas-equal.txt'],
      [BERT, 'berts.txt'],
    ] as const) {
      const answer = await send('GET', address, { headers: who });
      expect([answer.status, answer.headers['content-disposition']]).toEqual([200, expect.stringContaining(name)]);
      expect(answer.headers['cache-control']).toBe('private, no-cache');
    }
    await send('DELETE', `${service.url}/api/files/${annas.fileId}`, { headers: ANNA });
    expect((await send('GET', address, { headers: ANNA })).status).toBe(404);
    expect((await send('GET', address, { headers: BERT })).status).toBe(200);
  });

  test('a file’s own address is its owner’s alone', async () => {
    const { url } = await putFile(service.url, 'in private', { filename: 'annas.txt' }, ANNA);
    expect((await send('GET', url, { headers: ANNA })).body).toBe('in private');
    for (const method of ['GET', 'HEAD']) {
      expect((await send(method, url, { headers: BERT })).status).toBe(404);
      expect((await send(method, url)).status).toBe(401);
    }
    const unknown = url.replace(/[0-9a-f-]{36}/, '00000000-0000-4000-8000-000000000000');
    const [there, not] = [await send('GET', url, { headers: BERT }), await send('GET', unknown, { headers: BERT })];
    expect(there.body).toBe(not.body);
  });
});

describe('INSTANT and PUBLIC_READ', () => {
  test('INSTANT=all: one’s own contents and uploads are found, and nothing of others', async () => {
    const all = await startService({ env: { ...TOKENS, INSTANT: 'all' } });
    try {
      const [whole, begun] = [makeBytes(3_000, 84), makeBytes(3_000, 86)];
      const annas = await putFile(all.url, whole, { filename: 'annas.txt' }, ANNA);
      const location = await createUpload(all.url, begun.length, { md5: md5(begun) }, ANNA);
      await patch(location, 0, begun.subarray(0, 1_000), ANNA);
      for (const more of ['', '&filename=berts.txt', `&size=3000&filename=berts.txt`]) {
        expect(json(await check(all, whole, BERT, more))).toEqual({ status: 'notfound' });
        expect(json(await check(all, begun, BERT, more))).toEqual({ status: 'notfound' });
      }
      expect(json(await check(all, whole, ANNA))).toMatchObject({ status: 'exists', url: annas.url });
      const resume = { url: location, offset: 1_000 };
      expect(json(await check(all, begun, ANNA))).toMatchObject({ status: 'uploading', resume });
      // Nor does a form take a digest for the bytes.
      const digests = `md5=${md5(whole)}&sha256=${sha256(whole)}&filename=berts.txt`;
      const empty = await sendForm(`${all.url}/upload?${digests}`, [[filePart('berts.txt'), '']], BERT);
      expect(empty.code).toBe('digest_mismatch');
      const sent = await sendForm(`${all.url}/upload?${digests}`, [[filePart('berts.txt'), whole]], BERT);
      expect(json(sent)['status']).toBe('ok');
      expect(json(await check(all, whole, BERT, '&filename=more.txt'))).toMatchObject({ file: { name: 'more.txt' } });
    } finally {
      await all.stop();
    }
  });

  test('INSTANT=off: no content is reported, and equal bytes are stored once all the same', async () => {
    const off = await startService({ env: { INSTANT: 'off' } });
    try {
      const bytes = makeBytes(3_000, 85);
      await putFile(off.url, bytes, { filename: 'one.txt' });
      expect(json(await check(off, bytes, {}, '&filename=x.txt'))).toEqual({ status: 'notfound' });
      const form = await sendForm(`${off.url}/upload?md5=${md5(bytes)}`, [[filePart('two.txt'), bytes]]);
      expect(json(form)['status']).toBe('ok');
      expect((await storedNames(off)).filter((name) => name.startsWith(md5(bytes)))).toHaveLength(1);
    } finally {
      await off.stop();
    }
  });

  test('PUBLIC_READ: nobody names another’s file, nor learns its name', async () => {
    const open = await startService({ env: { ...TOKENS, PUBLIC_READ: 'true' } });
    try {
      const page = Buffer.from('<script>alert(1)</script>');
      const annas = await putFile(open.url, page, { filename: 'annas secret plan.txt' }, ANNA);
      const address = `${open.url}/files/${md5(page)}`;
      for (const filename of ['INVOICE.hta', 'INVOICE.html']) {
        await putFile(open.url, page, { filename, filetype: 'application/hta' }, BERT);
        const stranger = await send('GET', address);
        expect(JSON.stringify(stranger.headers)).not.toMatch(/INVOICE|secret plan|hta|html/);
        expect(stranger.headers).toMatchObject({
          'content-type': 'application/octet-stream',
          'content-disposition': `attachment; filename="${md5(page)}"`,
        });
        // An extension is the asker's: one that a program would run is none.
        for (const extension of ['hta', 'html', 'svg', 'exe', 'x.hta', 'png.hta', '%2e%2ehta']) {
          const { headers } = await send('GET', `${address}.${extension}`);
          expect(headers['content-disposition'], extension).toBe(`attachment; filename="${md5(page)}"`);
          expect(headers['content-type']).toBe('application/octet-stream');
        }
        const shown = await send('GET', `${address}.png`);
        expect(shown.headers).toMatchObject({
          'content-type': 'image/png',
          'content-disposition': `inline; filename="${md5(page)}.png"`,
          'x-content-type-options': 'nosniff',
        });
        // Each owner has the own name, by the content's address and by the file's.
        const own = await send('GET', address, { headers: ANNA });
        expect(own.headers['content-disposition']).toBe('inline; filename="annas secret plan.txt"');
        for (const headers of [ANNA, BERT, {}]) {
          const { 'content-disposition': disposition } = (await send('GET', annas.url, { headers })).headers;
          expect(disposition).toBe('inline; filename="annas secret plan.txt"');
        }
      }
    } finally {
      await open.stop();
    }
  });

  test('PUBLIC_READ: an archive tells the folders of files to their owner alone', async () => {
    const open = await startService({ env: { ...TOKENS, PUBLIC_READ: 'true' } });
    try {
      const annas = await putFile(open.url, 'offer', { filename: 'clients/ACME/offer.txt' }, ANNA);
      const berts = await putFile(open.url, 'note', { filename: 'berts/note.txt' }, BERT);
      for (const [headers, names] of [
        [ANNA, ['clients/ACME/offer.txt', 'note.txt']],
        [BERT, ['offer.txt', 'berts/note.txt']],
        [{}, ['offer.txt', 'note.txt']],
      ] as const) {
        const answer = await fetch(`${open.url}/api/archive?id=${annas.fileId}&id=${berts.fileId}`, { headers });
        expect(readZip(Buffer.from(await answer.arrayBuffer())).map(({ name }) => name)).toEqual(names);
      }
    } finally {
      await open.stop();
    }
  });

  test('PUBLIC_READ opens GET and HEAD of the addresses of files alone', async () => {
    const open = await startService({ env: { ...TOKENS, PUBLIC_READ: 'true' } });
    try {
      const bytes = makeBytes(3_000, 86);
      const stored = await putFile(open.url, bytes, { filename: 'annas.txt' }, ANNA);
      await putFile(open.url, bytes, { filename: 'berts.txt' }, BERT);
      for (const method of ['GET', 'HEAD']) {
        const answer = await send(method, stored.url);
        expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'public, no-cache']);
      }
      const byContent = await send('GET', `${open.url}/files/${md5(bytes)}`);
      expect([byContent.status, byContent.headers['cache-control']]).toEqual([200, 'public, no-cache']);
      // An owner sees the own name, though another's is newer.
      const own = await send('GET', stored.url, { headers: ANNA });
      expect(own.headers['content-disposition']).toContain('annas.txt');
      expect(own.headers['cache-control']).toBe('private, no-cache');
      for (const [method, path] of [
        ['DELETE', `/files/${md5(bytes)}`],
        ['POST', `/files/${md5(bytes)}`],
        ['GET', '/files'],
        ['GET', '/filesystem'],
        ['GET', '/files/../api/files'],
        ['GET', '/api/files'],
        ['GET', `/api/files/${stored.fileId}`],
        ['DELETE', `/api/files/${stored.fileId}/content`],
        ['PATCH', `/api/files/${stored.fileId}/content`],
        ['GET', `/api/files/${stored.fileId}/content/more`],
        ['GET', `/api/files/${stored.fileId}/../content`],
        ['GET', '/api/files/x/content'],
        ['GET', new URL(stored.upload).pathname],
        ['GET', `/check?md5=${md5(bytes)}`],
        ['GET', `/file/download?filehash=${md5(bytes)}`],
      ] as const) {
        // A path below /files that is none is open, and leads nowhere.
        expect([401, 404], `${method} ${path}`).toContain((await send(method, open.url, { rawPath: path })).status);
      }
      expect((await send('GET', `${open.url}/api/files`)).status).toBe(401);
    } finally {
      await open.stop();
    }
  });
});
