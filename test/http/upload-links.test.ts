/** Upload links: files come into a folder of the owner's, from people without an account, who learn nothing and take nothing. */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Upload } from 'tus-js-client';
import type {
  CreatedLinkJson,
  LinkPageJson,
  NewUploadLinkJson,
  SentPageJson,
  UploadLinkJson,
} from '../../server/wire/links.ts';
import type { FileJson, FilePageJson } from '../../server/wire/files.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { type Answer, createUpload, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';
import { eventsIn, listen } from './event-stream.ts';
import { bearer, json, putFile } from './support.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
const JSON_TYPE = { 'Content-Type': 'application/json' };
const FORM_TYPE = { 'Content-Type': 'application/x-www-form-urlencoded' };
const RUFH = { 'Upload-Draft-Interop-Version': '10' };

let service: RunningService;
beforeAll(async () => {
  service = await startService({
    env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', PUBLIC_READ: 'true', TRASH_TTL: '1h' },
  });
});
afterAll(() => service.stop());

let count = 0;

async function request(given: Partial<NewUploadLinkJson> = {}): Promise<CreatedLinkJson & UploadLinkJson> {
  count += 1;
  const answer = await ask({ folder: `inbox ${count}`, ...given });
  expect(answer.status, answer.body).toBe(201);
  return json<CreatedLinkJson & UploadLinkJson>(answer);
}

function ask(given: object): Promise<Answer> {
  const body = JSON.stringify({ kind: 'upload', ...given });
  return send('POST', `${service.url}/api/links`, { headers: { ...ANNA, ...JSON_TYPE }, body });
}

function change(id: string, given: object): Promise<Answer> {
  const body = JSON.stringify(given);
  return send('PATCH', `${service.url}/api/links/${id}`, { headers: { ...ANNA, ...JSON_TYPE }, body });
}

async function listed(id: string): Promise<UploadLinkJson | undefined> {
  const { links } = json<LinkPageJson>(await send('GET', `${service.url}/api/links?limit=1000`, { headers: ANNA }));
  return links.find((link) => link.id === id) as UploadLinkJson | undefined;
}

async function sentBy(id: string): Promise<SentPageJson> {
  return json<SentPageJson>(await send('GET', `${service.url}/api/links/${id}/uploads`, { headers: ANNA }));
}

async function names(folder: string): Promise<string[]> {
  const query = new URLSearchParams({ prefix: folder, recursive: 'true' }).toString();
  const answer = await send('GET', `${service.url}/api/files?${query}`, { headers: ANNA });
  return answer.status === 404 ? [] : json<{ files: { name: string }[] }>(answer).files.map(({ name }) => name);
}

/** Sends a file in one request of tus. */
function sendFile(
  url: string,
  bytes: Uint8Array | string,
  metadata: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<Answer> {
  return send('POST', url, {
    headers: {
      ...TUS,
      'Upload-Length': String(Buffer.byteLength(bytes)),
      'Upload-Metadata': encodeMetadata(metadata),
      'Content-Type': 'application/offset+octet-stream',
      ...headers,
    },
    body: bytes,
  });
}

function begin(url: string, headers: Record<string, string>): Promise<Answer> {
  return send('POST', url, { headers: { ...TUS, ...headers } });
}

describe('a file that is sent by a link', () => {
  test('belongs to the owner, below the folder, with who sent it; its sender is told nothing of the owner', async () => {
    const link = await request({ name: 'For Anna', folder: 'in/box' });
    expect(link).toMatchObject({ kind: 'upload', state: 'active', folder: 'in/box', files: 0, bytes: 0, types: null });
    expect(json(await send('GET', link.url))).toEqual({
      kind: 'upload',
      name: 'For Anna',
      expiresAt: null,
      bytesLeft: null,
      filesLeft: null,
      maxFileBytes: null,
      types: null,
      uploadUrl: `${link.url}/uploads`,
    });
    const bytes = 'high water';
    const said = { sender: 'Bob\n', note: 'as promised' };
    const answer = await sendFile(link.url, bytes, { filename: 'a/b.txt', md5: md5(Buffer.from(bytes)), ...said });
    expect(answer.status, answer.body).toBe(201);
    const { location = '' } = answer.headers;
    expect(location.startsWith(`${link.url}/uploads/`)).toBe(true);
    expect(answer.headers['tidemark-file-name']).toBe('a%2Fb.txt');
    for (const name of ['tidemark-file-id', 'tidemark-file-url']) expect(answer.headers[name]).toBeUndefined();
    const looked = await head(location);
    expect(looked.headers).toMatchObject({ 'upload-offset': '10', 'upload-length': '10' });
    expect(looked.headers['tidemark-file-id']).toBeUndefined();
    expect(json(await send('GET', location))).toEqual({
      state: 'complete',
      name: 'a/b.txt',
      size: 10,
      offset: 10,
      md5: md5(Buffer.from(bytes)),
    });
    expect(await names('in/box')).toEqual(['in/box/a/b.txt']);
    const { uploads } = await sentBy(link.id);
    expect(uploads).toMatchObject([
      { state: 'complete', name: 'in/box/a/b.txt', size: 10, sender: 'Bob', note: 'as promised' },
    ]);
    const file = await send('GET', `${service.url}/api/files/${uploads[0]?.fileId ?? ''}/content`, { headers: ANNA });
    expect(file.body).toBe(bytes);
    expect(await listed(link.id)).toMatchObject({ files: 1, bytes: 10 });
  });

  test('is told to the owner as it comes, with who sent it', async () => {
    const link = await request();
    const stream = await listen(service, ANNA);
    await stream.until(/event: begin/);
    await sendFile(link.url, 'news', { filename: 'n.txt', sender: 'Bob', note: 'for you' });
    await stream.until(/event: published\ndata: .*\n\n/);
    expect(eventsIn(stream.text()).at(-1)?.data).toMatchObject({
      name: `${link.folder}/n.txt`,
      sentBy: { link: link.id, name: 'Bob', note: 'for you' },
    });
  });

  test.each([
    ['../../up.txt', 'up.txt'],
    ['/etc/passwd', 'etc/passwd'],
    ['a//b/./c.txt', 'a/b/c.txt'],
    [String.raw`C:\secret\d.txt`, 'd.txt'],
  ])('called %s stays below the folder', async (given, kept) => {
    const link = await request();
    expect((await sendFile(link.url, given, { filename: given })).status).toBe(201);
    expect(await names(link.folder)).toEqual([`${link.folder}/${kept}`]);
  });

  test('replaces nothing, and its sender does not learn that the name was taken', async () => {
    const link = await request();
    await putFile(service.url, 'mine', { filename: `${link.folder}/x.txt` }, ANNA);
    const answer = await sendFile(link.url, 'theirs', { filename: 'x.txt', onconflict: 'replace' });
    expect(answer.headers['tidemark-file-name']).toBe('x.txt');
    expect(json(await send('GET', answer.headers.location ?? ''))).toMatchObject({ name: 'x.txt' });
    expect((await names(link.folder)).sort()).toEqual([`${link.folder}/x (2).txt`, `${link.folder}/x.txt`]);
  });

  test('cannot be deleted by its sender, by whatever protocol; nor can a file of the owner by sending it again', async () => {
    const link = await request();
    await putFile(service.url, 'mine', { filename: `${link.folder}/x.txt` }, ANNA);
    const { location = '' } = (await sendFile(link.url, 'mine', { filename: 'x.txt' })).headers;
    for (const headers of [TUS, RUFH]) {
      const refused = await send('DELETE', location, { headers });
      expect([refused.status, refused.code]).toEqual([403, 'link_sent']);
    }
    expect(await names(link.folder)).toEqual([`${link.folder}/x.txt`]);
  });

  test("is listed with who sent it, unless it was the owner's before", async () => {
    const link = await request();
    await putFile(service.url, 'mine', { filename: `${link.folder}/mine.txt` }, ANNA);
    await sendFile(link.url, 'mine', { filename: 'mine.txt', sender: 'Eve' });
    for (const sender of ['Bob', 'Eve']) await sendFile(link.url, 'theirs', { filename: 'theirs.txt', sender });
    const query = new URLSearchParams({ prefix: link.folder }).toString();
    const listing = await send('GET', `${service.url}/api/files?${query}`, { headers: ANNA });
    const { files } = json<FilePageJson>(listing);
    const bob = { link: link.id, name: 'Bob', note: null };
    expect(Object.fromEntries(files.map((file) => [file.name, file.sentBy]))).toEqual({
      [`${link.folder}/mine.txt`]: undefined,
      [`${link.folder}/theirs.txt`]: bob,
    });
    const theirs = files.find((file) => file.sentBy);
    const one = await send('GET', `${service.url}/api/files/${theirs?.id ?? ''}`, { headers: ANNA });
    expect(json<FileJson>(one).sentBy).toEqual(bob);
    // Others read it by PUBLIC_READ; but its owner alone is told of senders.
    expect((await send('GET', `${service.url}/api/files/${theirs?.id ?? ''}`, { headers: BERT })).status).toBe(404);
  });

  test('is gone for its sender once the owner has deleted it, also after it was restored; the link counts it on', async () => {
    const link = await request({ maxFiles: 2 });
    const { location = '' } = (await sendFile(link.url, 'theirs', { filename: 'x.txt' })).headers;
    const fileId = (await sentBy(link.id)).uploads[0]?.fileId ?? '';
    expect((await send('DELETE', `${service.url}/api/files/${fileId}`, { headers: ANNA })).status).toBe(204);
    const seen = async (): Promise<number[]> => [(await head(location)).status, (await send('GET', location)).status];
    expect(await seen()).toEqual([404, 404]);
    expect(await listed(link.id)).toMatchObject({ files: 1, bytes: 6 });
    const body = JSON.stringify({ files: [fileId] });
    const restored = await send('POST', `${service.url}/api/trash/restore`, {
      headers: { ...ANNA, ...JSON_TYPE },
      body,
    });
    expect(restored.status, restored.body).toBe(200);
    expect(await names(link.folder)).toEqual([`${link.folder}/x.txt`]);
    expect(await seen()).toEqual([404, 404]);
    expect(await listed(link.id)).toMatchObject({ files: 1, bytes: 6 });
    // The same once more: it is the owner's file, and a file of the link's.
    expect((await sendFile(link.url, 'theirs', { filename: 'x.txt' })).status).toBe(201);
    expect(await names(link.folder)).toEqual([`${link.folder}/x.txt`]);
    expect(await listed(link.id)).toMatchObject({ state: 'used_up', files: 2, bytes: 12 });
  });

  test('with a wrong digest is refused, and counts no more', async () => {
    const link = await request({ maxFiles: 1 });
    const refused = await sendFile(link.url, 'wrong', { filename: 'w', md5: '0'.repeat(32) });
    expect([refused.status, refused.code]).toEqual([460, 'digest_mismatch']);
    expect(await listed(link.id)).toMatchObject({ files: 0, bytes: 0 });
    expect((await sendFile(link.url, 'right', { filename: 'r' })).status).toBe(201);
  });
});

describe('clients', () => {
  test('tus-js-client, with the link as its endpoint, resumes by the address that it got', async () => {
    const link = await request();
    const bytes = makeBytes(3_000_000, 8_100);
    const address = await new Promise<string>((resolve, reject) => {
      const upload = new Upload(bytes, {
        endpoint: link.url,
        metadata: { filename: 'by tus.bin', sender: 'tus-js-client' },
        chunkSize: 1_000_000,
        retryDelays: null,
        onError: reject,
        onChunkComplete: () => void upload.abort().then(() => resolve(upload.url ?? ''), reject),
      });
      upload.start();
    });
    expect(Number((await head(address)).headers['upload-offset'])).toBeGreaterThanOrEqual(1_000_000);
    await new Promise<void>((resolve, reject) => {
      new Upload(bytes, { uploadUrl: address, retryDelays: null, onError: reject, onSuccess: () => resolve() }).start();
    });
    expect(json(await send('GET', address))).toMatchObject({ state: 'complete', md5: md5(bytes) });
    expect(await names(link.folder)).toEqual([`${link.folder}/by tus.bin`]);
  });

  test('of Resumable Uploads for HTTP create, look, append, repeat, and get the digest of their bytes', async () => {
    // The length that is announced takes up all of it: the bytes that follow are not counted once more.
    const link = await request({ maxBytes: 10 });
    const target = `${link.url}?${new URLSearchParams({ name: 'r.txt', sender: 'Bob', note: 'by RUFH' }).toString()}`;
    const begun = await send('POST', target, {
      headers: { ...RUFH, 'Upload-Complete': '?0', 'Upload-Length': '10' },
      body: 'high ',
    });
    expect(begun.status, begun.body).toBe(201);
    const { location = '' } = begun.headers;
    expect(location.startsWith(`${link.url}/uploads/`)).toBe(true);
    const state = await send('HEAD', location, { headers: RUFH });
    expect([state.status, state.headers['upload-offset']]).toEqual([204, '5']);
    const last = { ...RUFH, 'Content-Type': 'application/partial-upload', 'Upload-Complete': '?1' };
    const done = await send('PATCH', location, { headers: { ...last, 'Upload-Offset': '5' }, body: 'water' });
    expect(json(done)).toEqual({ name: 'r.txt', type: 'text/plain', size: 10, md5: md5(Buffer.from('high water')) });
    for (const name of ['location', 'tidemark-file-id', 'tidemark-file-url'])
      expect(done.headers[name]).toBeUndefined();
    expect((await sentBy(link.id)).uploads).toMatchObject([{ sender: 'Bob', note: 'by RUFH', state: 'complete' }]);
    expect(await names(link.folder)).toEqual([`${link.folder}/r.txt`]);
  });

  test('are told what the endpoint can do, and that it joins no parts', async () => {
    const link = await request();
    const { headers } = await send('OPTIONS', link.url);
    expect(String(headers['tus-extension']).split(',')).toEqual(
      expect.arrayContaining(['creation', 'creation-with-upload', 'termination']),
    );
    expect(headers['tus-extension']).not.toContain('concatenation');
    const partial = await begin(link.url, { 'Upload-Length': '5', 'Upload-Concat': 'partial' });
    expect([partial.status, partial.code]).toEqual([400, 'invalid_field']);
    const final = await begin(link.url, { 'Upload-Concat': `final;${link.url}/uploads/x` });
    expect([final.status, final.code]).toEqual([400, 'invalid_field']);
  });

  test('of others, with a token or without one, are not let in by the id alone', async () => {
    const [link, other] = [await request(), await request()];
    const location = await createUpload(link.url, 10);
    const id = location.slice(location.lastIndexOf('/') + 1);
    for (const address of [`${other.url}/uploads/${id}`, `${service.url}/s/${'x'.repeat(32)}/uploads/${id}`]) {
      const answers = [
        await head(address),
        await patch(address, 0, 'x'),
        await send('DELETE', address, { headers: TUS }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    }
    expect((await head(`${service.url}/uploads/${id}`)).status).toBe(401);
    expect((await head(`${service.url}/uploads/${id}`, BERT)).status).toBe(404);
    // It is the owner's.
    expect((await head(`${service.url}/uploads/${id}`, ANNA)).status).toBe(200);
    expect((await patch(location, 0, 'x'.repeat(10))).status).toBe(204);
  });
});

describe('limits', () => {
  test('so many files, also of 50 at once', async () => {
    const link = await request({ maxFiles: 3 });
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => sendFile(link.url, `file ${index}`, { filename: `${index}` })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    const refused = answers.find(({ status }) => status !== 201);
    expect([refused?.status, refused?.code]).toEqual([413, 'link_files_used']);
    expect(refused?.body).toContain('takes 3 files');
    expect(await names(link.folder)).toHaveLength(3);
    expect(await listed(link.id)).toMatchObject({ state: 'used_up', files: 3 });
  });

  test('so many bytes: refused with what is left, and given back by an upload that ends', async () => {
    const link = await request({ maxBytes: 100 });
    const first = await createUpload(link.url, 60);
    const refused = await begin(link.url, { 'Upload-Length': '41' });
    expect([refused.status, refused.code]).toEqual([413, 'link_bytes_used']);
    expect(refused.body).toContain('takes 100 bytes in all, and 40 of them are left');
    expect((await send('DELETE', first, { headers: TUS })).status).toBe(204);
    expect((await begin(link.url, { 'Upload-Length': '100' })).status).toBe(201);
  });

  test('a body of unknown length that runs past what is left is refused in the middle, with the figure', async () => {
    const link = await request({ maxBytes: 100 });
    const { location = '' } = (await begin(link.url, { 'Upload-Defer-Length': '1' })).headers;
    const refused = await patch(location, 0, Readable.from([Buffer.alloc(80), Buffer.alloc(80)]));
    expect([refused.status, refused.code]).toEqual([413, 'link_bytes_used']);
    expect(refused.body).toContain('100 of them are left');
    // The upload stays: its owner may raise the limit.
    const at = Number((await head(location)).headers['upload-offset']);
    expect(at).toBeLessThanOrEqual(100);
    expect((await change(link.id, { maxBytes: 200 })).status).toBe(200);
    const rest = await patch(location, at, Buffer.alloc(160 - at), { 'Upload-Length': '160' });
    expect(rest.status, rest.body).toBe(204);
    expect(await listed(link.id)).toMatchObject({ bytes: 160 });
  });

  test('of several bodies of unknown length at once, what has arrived counts: they are refused together', async () => {
    const link = await request({ maxBytes: 100_000 });
    const running = await Promise.all(
      Array.from({ length: 2 }, async () => {
        const { location = '' } = (await begin(link.url, { 'Upload-Defer-Length': '1' })).headers;
        const body = new Readable({ read: () => undefined });
        body.push(Buffer.alloc(80_000));
        return { location, answer: patch(location, 0, body) };
      }),
    );
    for (const { location } of running)
      await expect.poll(async () => (await head(location)).headers['upload-offset']).toBe('80000');
    for (const { answer } of running) {
      const refused = await answer;
      expect([refused.status, refused.code]).toEqual([413, 'link_bytes_used']);
      expect(refused.body).toContain('0 of them are left');
    }
    expect(await listed(link.id)).toMatchObject({ bytes: 160_000 });
    const [first = '', second = ''] = running.map(({ location }) => location);
    expect((await patch(first, 80_000, Readable.from(['x']))).code).toBe('link_bytes_used');
    expect((await send('DELETE', second, { headers: TUS })).status).toBe(204);
    const rest = await patch(first, 80_000, Buffer.alloc(20_000), { 'Upload-Length': '100000' });
    expect(rest.status, rest.body).toBe(204);
  });

  test('what cannot fit is refused before its bytes are read, also where its length is only expected', async () => {
    const link = await request({ maxBytes: 100 });
    const { location = '' } = (await send('POST', link.url, { headers: { ...RUFH, 'Upload-Complete': '?0' } })).headers;
    const [size, expected] = ['300000', { 'Upload-Complete': '?0', 'Upload-Length': '300000' }];
    const append = { ...RUFH, 'Upload-Offset': '0', 'Content-Type': 'application/partial-upload' };
    for (const [method, url, headers] of [
      ['POST', link.url, { ...RUFH, 'Upload-Complete': '?1' }],
      ['POST', link.url, { ...RUFH, ...expected }],
      ['PATCH', location, { ...append, 'Upload-Complete': '?1' }],
      ['PATCH', location, { ...append, ...expected }],
    ] as const) {
      // The first byte comes, and nothing more.
      const body = new Readable({ read: () => undefined });
      body.push('a');
      const refused = await send(method, url, { headers: { ...headers, 'Content-Length': size }, body });
      expect([refused.status, refused.code]).toEqual([413, 'link_bytes_used']);
      expect(refused.body).toContain('100 of them are left');
    }
    expect(await listed(link.id)).toMatchObject({ files: 1, bytes: 0 });
  });

  test('an upload that has got no byte is kept for an hour: its sender may not have heard of it', async () => {
    const link = await request({ maxFiles: 1 });
    const begun = await begin(link.url, { 'Upload-Length': '10' });
    const hoursLeft = ({ headers }: Answer): number =>
      (Date.parse(String(headers['upload-expires'])) - Date.now()) / 3_600_000;
    expect(hoursLeft(begun)).toBeGreaterThan(0.9);
    expect(hoursLeft(begun)).toBeLessThan(1.1);
    const { location = '' } = begun.headers;
    expect(hoursLeft(await patch(location, 0, 'high '))).toBeGreaterThan(20);
    // Those of the owner's are kept as ever.
    const own = await begin(`${service.url}/uploads`, { 'Upload-Length': '10', ...ANNA });
    expect(hoursLeft(own)).toBeGreaterThan(20);
  });

  test('a length that is declared later counts from then on', async () => {
    const link = await request({ maxBytes: 100, maxFileBytes: 90 });
    const { location = '' } = (await begin(link.url, { 'Upload-Defer-Length': '1' })).headers;
    const large = await patch(location, 0, Buffer.alloc(10), { 'Upload-Length': '91' });
    expect([large.status, large.code]).toEqual([413, 'link_file_too_large']);
    await createUpload(link.url, 50);
    const refused = await patch(location, 0, Buffer.alloc(10), { 'Upload-Length': '51' });
    expect([refused.status, refused.code]).toEqual([413, 'link_bytes_used']);
    const at = Number((await head(location)).headers['upload-offset']);
    const taken = await patch(location, at, Buffer.alloc(50 - at), { 'Upload-Length': '50' });
    expect(taken.status, taken.body).toBe(204);
    expect(await listed(link.id)).toMatchObject({ files: 2, bytes: 100 });
  });

  test('a length that does not fit is told of the bytes, also where the link has been sent its number of files', async () => {
    const link = await request({ maxBytes: 100, maxFiles: 1 });
    const { location = '' } = (await begin(link.url, { 'Upload-Defer-Length': '1' })).headers;
    const refused = await patch(location, 0, Buffer.alloc(10), { 'Upload-Length': '101' });
    expect([refused.status, refused.code]).toEqual([413, 'link_bytes_used']);
    expect((await begin(link.url, { 'Upload-Length': '1' })).code).toBe('link_files_used');
    expect((await listed(link.id))?.lastUsedAt).not.toBeNull();
  });

  test('without a limit it is as many bytes as numbers can count', async () => {
    const link = await request();
    const most = String(Number.MAX_SAFE_INTEGER);
    expect((await begin(link.url, { 'Upload-Length': most })).status).toBe(201);
    const refused = await begin(link.url, { 'Upload-Length': most });
    expect([refused.status, refused.code]).toEqual([413, 'link_bytes_used']);
    expect(refused.body).toContain(`takes ${most} bytes in all, and 0 of them are left`);
    const { location = '' } = (await begin(link.url, { 'Upload-Defer-Length': '1' })).headers;
    expect((await patch(location, 0, Readable.from(['x']))).code).toBe('link_bytes_used');
    expect(await listed(link.id)).toMatchObject({ bytes: Number.MAX_SAFE_INTEGER });
  });

  test('the size of one file, by every protocol', async () => {
    const link = await request({ maxFileBytes: 10 });
    const tus = await begin(link.url, { 'Upload-Length': '11' });
    expect([tus.status, tus.code]).toEqual([413, 'link_file_too_large']);
    expect(tus.body).toContain('at most 10 bytes each');
    const headers = { ...RUFH, 'Upload-Complete': '?1' };
    const rufh = await send('POST', link.url, { headers, body: Buffer.alloc(11) });
    expect([rufh.status, rufh.code]).toEqual([413, 'link_file_too_large']);
    const chunked = await send('POST', link.url, { headers, body: Readable.from([Buffer.alloc(8), Buffer.alloc(8)]) });
    expect([chunked.status, chunked.code]).toEqual([413, 'link_file_too_large']);
    const { location = '' } = (await begin(link.url, { 'Upload-Defer-Length': '1' })).headers;
    const past = await patch(location, 0, Readable.from([Buffer.alloc(8), Buffer.alloc(8)]));
    expect([past.status, past.code]).toEqual([413, 'link_file_too_large']);
    expect(Number((await head(location)).headers['upload-offset'])).toBeLessThanOrEqual(10);
    expect(await names(link.folder)).toEqual([]);
  });

  test.each([
    ['.pdf', 'a.pdf', '', 201],
    ['.pdf', 'a.PDF', '', 201],
    ['.pdf', 'a.txt', 'application/pdf', 415],
    ['image/*', 'a.png', '', 201],
    ['image/*', 'photo', 'image/jpeg', 201],
    ['image/*', 'photo.exe', 'image/jpeg', 415],
    ['image/*', 'photo', '', 415],
    ['text/plain', 'a.txt', 'text/plain; charset=utf-8', 201],
  ])('of the types %s: %s, declared as %j, is %i', async (type, filename, filetype, status) => {
    const link = await request({ types: [type] });
    const answer = await sendFile(link.url, `${type} ${filename}`, { filename, ...(filetype ? { filetype } : {}) });
    expect(answer.status, answer.body).toBe(status);
    if (status !== 415) return;
    expect(answer.code).toBe('link_type_refused');
    expect(answer.body).toContain(type);
  });
});

describe('the end of a link', () => {
  test('expired in the middle of an upload: no more bytes; what arrived is kept, and sent on after it is extended', async () => {
    const link = await request({ maxFiles: 1 });
    const location = await createUpload(link.url, 10, { filename: 'late.txt' });
    expect((await patch(location, 0, 'high ')).status).toBe(204);
    expect((await change(link.id, { expiresIn: 1 })).status).toBe(200);
    await expect.poll(async () => (await patch(location, 5, '')).code, { timeout: 5_000 }).toBe('link_closed');
    const refused = await patch(location, 5, 'water');
    expect([refused.status, refused.code]).toEqual([403, 'link_closed']);
    expect((await begin(link.url, { 'Upload-Length': '1' })).code).toBe('link_closed');
    // It can be looked at, so that its client does not take it for lost.
    expect((await head(location)).headers['upload-offset']).toBe('5');
    expect((await change(link.id, { expiresIn: 1000 })).status).toBe(200);
    expect((await patch(location, 5, 'water')).status).toBe(204);
    expect(await names(link.folder)).toEqual([`${link.folder}/late.txt`]);
  });

  test('expired in the middle of a request: it ends, and its bytes are kept', async () => {
    const link = await request({ expiresIn: 2 });
    const location = await createUpload(link.url, 1_000_000);
    const body = new Readable({ read: () => undefined });
    body.push(Buffer.alloc(1000));
    const refused = await patch(location, 0, body);
    expect([refused.status, refused.code]).toEqual([403, 'link_closed']);
    expect((await head(location)).headers['upload-offset']).toBe('1000');
  });

  test('revoked: as if it were not there, and its uploads end, also one that is running', async () => {
    const link = await request({ maxFiles: 5 });
    const idle = await createUpload(link.url, 10);
    const running = await createUpload(link.url, 1_000_000);
    const body = new Readable({ read: () => undefined });
    body.push(Buffer.alloc(1000));
    const answer = patch(running, 0, body);
    await expect.poll(async () => (await head(running)).headers['upload-offset']).toBe('1000');
    expect((await send('DELETE', `${service.url}/api/links/${link.id}`, { headers: ANNA })).status).toBe(204);
    expect([404, 423]).toContain((await answer).status);
    for (const location of [idle, running]) expect((await head(location)).status).toBe(404);
    expect((await begin(link.url, { 'Upload-Length': '1' })).status).toBe(404);
    await expect.poll(async () => (await listed(link.id))?.files).toBe(0);
    const states = (await sentBy(link.id)).uploads.map(({ state }) => state);
    expect(states).toEqual(['terminated', 'terminated']);
  });
});

describe('a password', () => {
  test('is asked for before a new upload, and not for one that was begun', async () => {
    const link = await request({ password: 'Ebbe und Flut' });
    const locked = await begin(link.url, { 'Upload-Length': '4' });
    expect([locked.status, locked.code]).toEqual([403, 'password_required']);
    const unlock = (password: string): Promise<Answer> =>
      send('POST', link.url, { headers: FORM_TYPE, body: new URLSearchParams({ password }).toString() });
    expect((await unlock('wrong one')).code).toBe('wrong_password');
    const opened = await unlock('Ebbe und Flut');
    const Cookie = String(opened.headers['set-cookie']).split(';', 1)[0] ?? '';
    const begun = await begin(link.url, { 'Upload-Length': '4', Cookie });
    expect(begun.status, begun.body).toBe(201);
    expect((await patch(begun.headers.location ?? '', 0, 'tide')).status).toBe(204);
    // A look at what the link takes prolongs the leave.
    const looked = await send('GET', link.url, { headers: { Cookie } });
    const [renewed = ''] = looked.headers['set-cookie'] ?? [];
    expect(renewed).toContain(`; Path=/s/`);
    const again = { 'Upload-Length': '4', Cookie: renewed.split(';', 1)[0] ?? '' };
    expect((await begin(link.url, again)).status).toBe(201);
    for (let index = 0; index < 10; index++) await unlock(`wrong ${index}`);
    expect((await unlock('Ebbe und Flut')).code).toBe('too_many_attempts');
  });
});

test('an upload by a link is not offered to its owner, whose client would take it over', async () => {
  const link = await request();
  const digest = md5(Buffer.from('spring tide'));
  const location = await createUpload(link.url, 11, { md5: digest });
  expect((await patch(location, 0, 'spring ')).status).toBe(204);
  const query = new URLSearchParams({ md5: digest, size: '11' }).toString();
  const check = await send('GET', `${service.url}/check?${query}`, { headers: ANNA });
  expect(json(check)).toMatchObject({ status: 'notfound' });
  expect(check.body).not.toContain(location.slice(-36));
});

describe('bad input', () => {
  test.each([
    [{ folder: '../up' }, 'folder'],
    [{ folder: 'a//b' }, 'folder'],
    [{ folder: '' }, 'folder'],
    [{}, 'folder'],
    [{ folder: 'x'.repeat(255).concat('/').repeat(5).slice(0, -1) }, 'folder'],
    [{ folder: 'a', maxFiles: 0 }, 'maxFiles'],
    [{ folder: 'a', maxBytes: '10' }, 'maxBytes'],
    [{ folder: 'a', maxFileBytes: 1.5 }, 'maxFileBytes'],
    [{ folder: 'a', types: ['image'] }, 'types'],
    [{ folder: 'a', types: [] }, 'types'],
    [{ folder: 'a', files: ['x'] }, 'files'],
    [{ folder: 'a', downloads: 3 }, 'downloads'],
    [{ folder: 'a', kind: 'both' }, 'kind'],
  ])('%j names %s', async (given, field) => {
    const refused = await ask(given);
    expect([refused.status, refused.code]).toEqual([400, 'invalid_field']);
    expect(json<{ error: { field: string } }>(refused).error.field).toBe(field);
  });

  test('what the link is about cannot be changed, and limits are those of its kind', async () => {
    const link = await request({ maxFiles: 1 });
    for (const given of [{ folder: 'b' }, { types: ['.pdf'] }, { downloads: 3 }, { maxFiles: 0 }])
      expect((await change(link.id, given)).status, JSON.stringify(given)).toBe(400);
    expect(json(await change(link.id, { maxFiles: null, maxBytes: 7 }))).toMatchObject({ maxFiles: null, maxBytes: 7 });
    for (const path of ['/files/1', '/archive']) expect((await send('GET', link.url + path)).status).toBe(404);
  });
});
