/** What is said about a file beside its bytes never refuses them, whatever route they come by. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../support/bytes.ts';
import { startService, type RunningService } from '../support/service.ts';
import { createUpload, encodeMetadata, head, patch, send, TUS, type Answer } from '../support/tus.ts';
import { filePart, json, putFile, sendForm } from './support.ts';

interface FileJson {
  id: string;
  name: string;
  type: string | null;
  url: string;
}

let service: RunningService;
let seed = 7_000;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

function fresh(): Buffer {
  seed += 1;
  return makeBytes(200, seed);
}

async function fileOf(answer: Answer): Promise<FileJson> {
  return json<FileJson>(await send('GET', `${service.url}/api/files/${String(answer.headers['tidemark-file-id'])}`));
}

/** The name that a file gets by each route, and the one that the answer tells. */
const ROUTES: Record<string, (name: string, bytes: Buffer) => Promise<{ told: unknown; kept: string }>> = {
  'tus, creation with upload': async (name, bytes) => {
    const answer = await create(bytes, { filename: name }, bytes);
    return { told: nameIn(answer), kept: (await fileOf(answer)).name };
  },
  'tus, creation and PATCH': async (name, bytes) => {
    const created = await create(bytes, { filename: name });
    const answer = await patch(created.headers.location ?? '', 0, bytes);
    expect([201, nameIn(created)]).toEqual([created.status, nameIn(answer)]);
    return { told: nameIn(await head(created.headers.location ?? '')), kept: (await fileOf(answer)).name };
  },
  'a form, named by the query': async (name, bytes) => {
    const query = new URLSearchParams({ filename: name });
    const answer = await sendForm(`${service.url}/upload?${query.toString()}`, [[filePart('x.bin'), bytes]]);
    expect(answer.status, answer.body).toBe(200);
    return { told: json<{ file: FileJson }>(answer).file.name, kept: await latestName() };
  },
  'a form, as browsers write it': async (name, bytes) => {
    const answer = await sendForm(`${service.url}/upload`, [[filePart(asBrowsersWrite(name)), bytes]]);
    expect(answer.status, answer.body).toBe(200);
    return { told: nameIn(answer), kept: await latestName() };
  },
  'the older form': async (name, bytes) => {
    const answer = await sendForm(`${service.url}/file/upload`, [[filePart(asBrowsersWrite(name)), bytes]]);
    expect(answer.status, answer.body).toBe(302);
    return { told: nameIn(answer), kept: await latestName() };
  },
  'an instant upload': async (name, bytes) => {
    await putFile(service.url, bytes, { filename: 'before.bin' });
    const query = new URLSearchParams({ md5: md5(bytes), filename: name });
    const answer = await send('GET', `${service.url}/check?${query.toString()}`);
    return { told: json<{ file: FileJson }>(answer).file.name, kept: await latestName() };
  },
};

function create(bytes: Buffer, metadata: Record<string, string>, body: Buffer | '' = ''): Promise<Answer> {
  return send('POST', `${service.url}/uploads`, {
    headers: {
      ...TUS,
      'Upload-Length': String(bytes.length),
      'Upload-Metadata': encodeMetadata(metadata),
      ...(body === '' ? {} : { 'Content-Type': 'application/offset+octet-stream' }),
    },
    body,
  });
}

function nameIn(answer: Answer): string | undefined {
  const header = answer.headers['tidemark-file-name'];
  return typeof header === 'string' ? decodeURIComponent(header) : undefined;
}

async function latestName(): Promise<string> {
  const listed = json<{ files: FileJson[] }>(await send('GET', `${service.url}/api/files?limit=1`));
  return listed.files[0]?.name ?? '';
}

/** HTML, "multipart/form-data encoding algorithm". */
function asBrowsersWrite(name: string): string {
  return name.replaceAll('"', '%22').replaceAll(/\r\n|\r|\n/g, '%0D%0A');
}

describe.each(Object.entries(ROUTES))('names by %s', (route, put) => {
  test.each([
    ['a backslash', 'a\\b.txt', 'a_b.txt'],
    ['a tab', 'a\tb.txt', 'a_b.txt'],
    ['DEL', 'a\u007fb.txt', 'a_b.txt'],
    ['a line separator', 'a\u2028b.txt', 'a_b.txt'],
    ['quotes and signs of percent', 'a "quoted" 100%25.txt', 'a "quoted" 100%25.txt'],
    ['a leading byte order mark', '\ufeffa.txt', 'a.txt'],
    ['100 Chinese characters', `${'潮'.repeat(100)}.txt`, `${'潮'.repeat(100)}.txt`],
    ['300 Chinese characters', `${'潮'.repeat(300)}.txt`, `${'潮'.repeat(251)}.txt`],
    ['300 signs of four bytes, no extension', '🌊'.repeat(300), '🌊'.repeat(255)],
    ['a path', '../../etc/passwd', 'passwd'],
    ['a path of Windows', 'C:\\Users\\me\\notes.txt', 'notes.txt'],
  ])('%s', async (_, sent, kept) => {
    expect(await put(sent, fresh())).toEqual({ told: kept, kept });
  });

  test('line ends', async () => {
    // A browser makes CR LF of a line end: what arrives are two signs.
    const { kept, told } = await put('a\nb.txt', fresh());
    expect([kept, told]).toEqual(Array(2).fill(/form, as|older/.test(route) ? 'a__b.txt' : 'a_b.txt'));
  });
});

describe('labels that say nothing', () => {
  test.each(['undefined', 'null', 'image/*', '', 'text', 'text/html\r\nX: y', 'x/'.padEnd(400, 'y')])(
    'the type %j counts as absent',
    async (filetype) => {
      const bytes = fresh();
      const answer = await create(bytes, { filename: 'a.parquet.md', filetype }, bytes);
      expect(answer.status, answer.body).toBe(201);
      expect((await fileOf(answer)).type).toBe('text/markdown');
    },
  );

  test.each(['', '.', '..', '/', 'a/..'])('the name %j: the file is called by its MD5', async (filename) => {
    const bytes = fresh();
    const answer = await create(bytes, { filename, filetype: '' }, bytes);
    expect(answer.status, answer.body).toBe(201);
    expect([(await fileOf(answer)).name, nameIn(answer)]).toEqual([md5(bytes), md5(bytes)]);
    const other = fresh();
    const query = new URLSearchParams({ filename });
    const byForm = await sendForm(`${service.url}/upload?${query.toString()}`, [[filePart('form.txt'), other]]);
    expect([byForm.status, json<{ file: FileJson }>(byForm).file.name]).toEqual([200, 'form.txt']);
    const unnamed = await sendForm(`${service.url}/upload`, [[filePart(filename), fresh()]]);
    expect(unnamed.status, unnamed.body).toBe(200);
  });

  test('a name that is not UTF-8 is made readable', async () => {
    const bytes = fresh();
    const answer = await send('POST', `${service.url}/uploads`, {
      headers: {
        ...TUS,
        'Upload-Length': String(bytes.length),
        'Upload-Metadata': `filename ${Buffer.from('caf\u00e9.txt', 'latin1').toString('base64')}`,
        'Content-Type': 'application/offset+octet-stream',
      },
      body: bytes,
    });
    expect(answer.status, answer.body).toBe(201);
    expect((await fileOf(answer)).name).toBe('caf\ufffd.txt');
  });

  test.each(['', 'undefined', 'null'])('the digest %j counts as absent', async (digest) => {
    const bytes = fresh();
    const metadata = { filename: 'a.txt', md5: digest, sha1: digest, sha256: digest };
    expect((await create(bytes, metadata, bytes)).status).toBe(201);
    const query = new URLSearchParams({ md5: digest, sha256: digest });
    const answer = await sendForm(`${service.url}/upload?${query.toString()}`, [[filePart('a.txt'), fresh()]]);
    expect([answer.status, json(answer)['status']]).toEqual([200, 'ok']);
    const known = new URLSearchParams({ md5: md5(bytes), sha256: digest });
    expect(json(await send('GET', `${service.url}/check?${known.toString()}`))['status']).toBe('exists');
  });

  test('a digest that is malformed is refused: it would not be compared', async () => {
    expect((await create(fresh(), { md5: 'abc' })).code).toBe('invalid_field');
    const answer = await sendForm(`${service.url}/upload?md5=abc`, [[filePart('a.txt'), fresh()]]);
    expect(answer.code).toBe('invalid_field');
  });

  test('a form in which no file was chosen is refused', async () => {
    for (const path of ['/upload', '/file/upload']) {
      const answer = await sendForm(service.url + path, [[filePart(''), '']]);
      expect([answer.status, answer.code], path).toEqual([400, 'invalid_field']);
    }
  });

  test('a name that a person types is refused where it cannot be kept as it is', async () => {
    const { fileId } = await putFile(service.url, fresh(), { filename: 'typed.txt' });
    const rename = (name: string): Promise<Answer> =>
      send('PATCH', `${service.url}/api/files/${fileId}`, {
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }),
      });
    for (const name of ['', '.', '..', 'a/b', 'a\\b', 'a\tb', '\ufeffa', 'a'.repeat(256)]) {
      expect((await rename(name)).code, name).toBe('invalid_field');
    }
    expect(json<FileJson>(await rename('潮'.repeat(255))).name).toBe('潮'.repeat(255));
  });
});

test('a name of 255 Chinese characters is downloaded as it is', async () => {
  const name = `${'潮'.repeat(251)}.txt`;
  const location = await createUpload(service.url, 3, { filename: name });
  const done = await patch(location, 0, 'abc');
  const answer = await send('GET', String(done.headers['tidemark-file-url']));
  expect([answer.status, answer.body]).toEqual([200, 'abc']);
  expect(answer.headers['content-disposition']).toContain(encodeURIComponent(name));
});
