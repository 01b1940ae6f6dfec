import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { type Answer, send } from '../harness/tus.ts';
import { filePart, json, putFile, sendForm } from './support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

let seed = 1000;
/** Fresh bytes each time: the address names the content, and the newest name of it is shown. */
async function look(metadata: Record<string, string>, query = ''): Promise<Answer> {
  const { url } = await putFile(service.url, makeBytes(16, seed++), metadata);
  return send('GET', url + query);
}

/** The name a browser takes from RFC 6266 headers: filename* before filename. */
function nameIn(disposition: string): string {
  const extended = /filename\*=UTF-8''([^;]+)/.exec(disposition)?.[1];
  if (extended !== undefined) return decodeURIComponent(extended);
  const quoted = /filename="((?:[^"\\]|\\.)*)"/.exec(disposition)?.[1];
  return quoted?.replaceAll(/\\(.)/g, '$1') ?? /filename=([^;]+)/.exec(disposition)?.[1] ?? '';
}

describe('names in Content-Disposition', () => {
  test.each([
    ['plain', 'report.pdf'],
    ['quotes', 'a "b" c.txt'],
    ['a quote at the end', 'a".txt"'],
    ['semicolons', 'a; filename=evil.exe; b.txt'],
    ['percent signs', '100%25 sure%0d%0a.txt'],
    ['an apostrophe', "it's *here*.txt"],
    ['Chinese', '潮汐 标记.txt'],
    ['combining marks', 'e\u0301te\u0301.txt'],
    ['emoji', '🌊👩‍👩‍👧‍👦.png'],
    ['right-to-left', 'ملف العربية.txt'],
    ['a direction override', 'a\u202etxt.exe'],
    ['255 bytes', `${'ü'.repeat(125)}.text`],
    ['a dot in front', '.bashrc'],
    ['spaces alone', '   '],
    ['a device of Windows', 'CON'],
  ])('%s: %s', async (_, name) => {
    const disposition = String((await look({ filename: name })).headers['content-disposition']);
    // oxlint-disable-next-line no-control-regex -- a header holds visible ASCII
    expect(disposition).toMatch(/^(?:inline|attachment); filename[\x20-\x7e]+$/);
    expect(nameIn(disposition)).toBe(name);
  });

  test.each(['a\r\nSet-Cookie: x=1.txt', 'a\nb', 'a\rb', 'a\0b', 'a\u2028b', 'a\u0085b'])(
    '%j cannot get there',
    async (name) => {
      const cleaned = String((await look({ filename: name })).headers['content-disposition']);
      // Some of these are cleaned to the same name.
      expect(nameIn(cleaned)?.replace(/ \(\d\)/, '')).toBe(name.replaceAll(/[^ -~]/g, '_'));
      const { url } = await putFile(service.url, 'to rename', { filename: 'before.txt' });
      const listed = json<{ files: { id: string }[] }>(await send('GET', `${service.url}/api/files?search=before`));
      const renamed = await send('PATCH', `${service.url}/api/files/${listed.files[0]?.id}`, {
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }),
      });
      expect([renamed.status, renamed.code]).toEqual([400, 'invalid_field']);
      expect((await send('GET', url)).headers['content-disposition']).toContain('before.txt');
    },
  );

  test('equal bytes under two names: each address keeps to its file’s, the content’s to the oldest', async () => {
    const bytes = '%PDF-1.4 of two names';
    const pdf = await putFile(service.url, bytes, { filename: 'a.pdf' });
    const shown = async (url: string): Promise<unknown[]> => {
      const { headers } = await send('GET', url);
      return [headers['content-type'], headers['content-disposition']];
    };
    const asPdf = ['application/pdf', 'inline; filename="a.pdf"'];
    const asBin = ['application/octet-stream', 'attachment; filename="b.bin"'];
    const content = `${service.url}/files/${md5(Buffer.from(bytes))}`;
    expect(await shown(content)).toEqual(asPdf);
    const bin = await putFile(service.url, bytes, { filename: 'b.bin' });
    expect([await shown(pdf.url), await shown(bin.url)]).toEqual([asPdf, asBin]);
    for (const url of [content, `${content}.pdf`, `${content}.bin`]) expect(await shown(url)).toEqual(asPdf);
    expect((await shown(`${pdf.url}?download`))[1]).toBe('attachment; filename="a.pdf"');
    // What could run as script is saved by its own address, too.
    const page = await putFile(service.url, bytes, { filename: 'c.html' });
    const { headers } = await send('GET', page.url);
    expect(headers['content-disposition']).toBe('attachment; filename="c.html"');
    expect(headers['content-security-policy']).toContain('sandbox');
    await send('DELETE', `${service.url}/api/files/${pdf.fileId}`);
    expect((await send('GET', pdf.url)).status).toBe(404);
    expect(await shown(content)).toEqual(asBin);
  });

  test('a form names its file in UTF-8, and is held to the same', async () => {
    const sent = await sendForm(`${service.url}/upload`, [
      [filePart('潮 "%22" 🌊.txt'.replaceAll('"', '\\"')), 'named by a form'],
    ]);
    const { url } = json<{ url: string }>(sent);
    expect(nameIn(String((await send('GET', url)).headers['content-disposition']))).toBe('潮 """ 🌊.txt');
    const controlled = await sendForm(`${service.url}/upload`, [[filePart('a\x01b.txt'), 'of another name']]);
    expect(json<{ file: { name: string } }>(controlled).file.name).toBe('a_b.txt');
  });
});

describe('what a browser may show', () => {
  test.each([
    ['page.html', undefined],
    ['page.HTM', undefined],
    ['page.xhtml', undefined],
    ['drawing.svg', undefined],
    ['feed.xml', undefined],
    ['script.js', undefined],
    ['style.css', undefined],
    ['page.mhtml', undefined],
    ['unknown', undefined],
    ['a.bin', 'text/html'],
    ['a.bin', 'TEXT/HTML; charset=utf-7'],
    ['a.bin', 'image/svg+xml'],
    ['a.bin', 'image/svg'],
    ['a.bin', 'IMAGE/SVG+XML;q=1'],
    ['a.bin', 'image/anything+xml'],
    ['a.bin', 'application/xml'],
    ['a.bin', 'application/xhtml+xml'],
    ['a.bin', 'text/xsl'],
    ['a.bin', 'application/pdf+xml'],
    ['a.bin', 'multipart/x-mixed-replace'],
    ['a.bin', 'text/javascript'],
    ['a.bin', 'text/plain+html'],
  ])('%s declared as %s is saved, in a sandbox', async (filename, filetype) => {
    const answer = await look({ filename, ...(filetype === undefined ? {} : { filetype }) });
    expect(answer.headers['content-disposition']).toMatch(/^attachment;/);
    expect(answer.headers['content-security-policy']).toContain('sandbox');
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  test.each([
    ['a.png', 'image/png'],
    ['a.mp4', 'video/mp4'],
    ['a.mp3', 'audio/mpeg'],
    ['a.pdf', 'application/pdf'],
    ['a.txt', 'text/plain; charset=utf-8'],
  ])('%s is shown as %s, unless ?download', async (filename, type) => {
    const shown = await look({ filename });
    expect(shown.headers).toMatchObject({ 'content-type': type, 'x-content-type-options': 'nosniff' });
    expect(shown.headers['content-disposition']).toMatch(/^inline;/);
    // No script even where the type is shown.
    expect(shown.headers['content-security-policy']).toMatch(/^default-src 'none'/);
    for (const query of ['?download', '?download=', '?download=1']) {
      expect((await look({ filename }, query)).headers['content-disposition']).toMatch(/^attachment;/);
    }
  });

  test.each([
    ['a.js', undefined],
    ['a.mjs', undefined],
    ['a.bin', 'text/javascript'],
    ['a.bin', 'Application/JavaScript; charset=utf-8'],
    ['a.bin', 'application/ecmascript'],
    ['a.bin', 'application/x-javascript'],
    ['a.bin', 'text/x-ecmascript'],
    ['a.bin', 'text/jscript'],
    ['a.bin', 'text/livescript'],
    ['a.bin', 'text/javascript1.5'],
  ])('%s declared as %s is never sent as script', async (filename, filetype) => {
    const answer = await look({ filename, ...(filetype === undefined ? {} : { filetype }) });
    expect(answer.headers['content-type']).toBe('application/octet-stream');
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  test('pages of other origins embed no file, unless files are open to all', async () => {
    const open = await startService({ env: { PUBLIC_READ: 'true' } });
    try {
      for (const [on, policy] of [
        [service, 'same-origin'],
        [open, 'cross-origin'],
      ] as const) {
        const { url, upload, fileId } = await putFile(on.url, 'to embed', { filename: 'a.png' });
        const policyOf = async (address: string): Promise<unknown> =>
          (await send('GET', address)).headers['cross-origin-resource-policy'];
        expect(await policyOf(url)).toBe(policy);
        expect(await policyOf(`${on.url}/files/${md5(Buffer.from('to embed'))}`)).toBe(policy);
        for (const other of [
          upload,
          `${on.url}/file/download?filehash=${md5(Buffer.from('to embed'))}`,
          `${on.url}/api/files/${fileId}`,
        ]) {
          expect(await policyOf(other), other).toBe('same-origin');
        }
      }
    } finally {
      await open.stop();
    }
  });

  test('a type that no header can hold counts as not declared', async () => {
    for (const filetype of ['text/html; x="漢"', 'text/html; x="\u0001"', 'text/html\r\nX: y', 'text', 'text/']) {
      const answer = await look({ filename: 'a.bin', filetype });
      expect(answer.headers['content-type'], filetype).toBe('application/octet-stream');
    }
    const kept = await look({ filename: 'a.bin', filetype: 'text/csv; header="a b; c"' });
    expect(kept.headers['content-type']).toBe('text/csv; header="a b; c"');
  });
});

test('every answer is nosniff, refusals too', async () => {
  for (const path of ['/healthz', '/nowhere', '/check', '/api/files', '/file/upload/suc', '/files/x', '/uploads/x']) {
    const answer = await send('GET', service.url + path);
    expect(answer.headers['x-content-type-options'], path).toBe('nosniff');
    expect(answer.headers['referrer-policy'], path).toBe('no-referrer');
  }
});
