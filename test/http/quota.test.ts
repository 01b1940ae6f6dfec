/** What an owner may have: every way by which files come is refused in the same words, and nothing that arrived is lost. */
import { PassThrough, Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { QuotaJson } from '../../server/wire/quota.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { type Answer, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';
import { answered, openPatch } from '../system/support.ts';
import { bearer, filePart, json, putFile, sendForm } from './support.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const OWNERS = ['race', 'races', 'ways', 'cut', 'parts', 'whole', 'early', 'look', 'linked', 'trash', 'other'];
const who = (owner: string) => bearer(`secret-of-${owner}`);
const QUOTAS = [
  'race:files=100',
  `races:bytes=${100 * 10 * KIB}`,
  'ways:files=1:bytes=100',
  `cut:bytes=${6 * MIB}`,
  'parts:bytes=1000',
  'whole:bytes=1000',
  'early:bytes=1000',
  'look:bytes=1000',
  'linked:bytes=1000',
  'trash:files=2:uploads=1',
];

const PIECE = { ...TUS, 'Content-Type': 'application/offset+octet-stream' };
const RUFH = { 'Upload-Draft-Interop-Version': '8' };

function expectRefused(answer: Answer, sentence = 'The quota of'): void {
  expect([answer.status, answer.code, answer.body]).toEqual([413, 'over_quota', expect.stringContaining(sentence)]);
}

describeOverFolderAndBucket((store) => {
  describe('quotas', () => {
    let service: StoredService;
    beforeAll(async () => {
      service = await store.startService({
        AUTH_TOKENS: OWNERS.map((owner) => `${owner}:secret-of-${owner}`).join(),
        QUOTAS: QUOTAS.join(),
        TRASH_TTL: '7d',
      });
    });
    afterAll(() => service.stop());

    async function quotaOf(owner: string): Promise<QuotaJson> {
      return json<QuotaJson>(await send('GET', `${service.url}/api/quota`, { headers: who(owner) }));
    }

    function begin(owner: string, headers: Record<string, string>, body?: Uint8Array | string): Promise<Answer> {
      return send('POST', `${service.url}/uploads`, {
        headers: { ...TUS, ...who(owner), ...headers },
        ...(body ? { body } : {}),
      });
    }

    function whole(owner: string, bytes: Uint8Array, name: string): Promise<Answer> {
      const about = { 'Upload-Length': String(bytes.length), 'Upload-Metadata': encodeMetadata({ filename: name }) };
      return begin(owner, { ...PIECE, ...about }, bytes);
    }

    async function emptyTrash(owner: string): Promise<void> {
      const answer = await send('DELETE', `${service.url}/api/trash?all=true`, { headers: who(owner) });
      expect(answer.status).toBe(200);
    }

    async function deleteAll(owner: string): Promise<void> {
      const { files } = json<{ files: { id: string }[] }>(
        await send('GET', `${service.url}/api/files?limit=1000`, { headers: who(owner) }),
      );
      for (const { id } of files) await send('DELETE', `${service.url}/api/files/${id}`, { headers: who(owner) });
    }

    // Who comes first is decided by the catalog alone.
    const isLocal = store.name === 'local';

    test.each(isLocal ? [200] : [])('%i clients with a file each, for 100 files: 100 files', async (clients) => {
      const answers = await Promise.all(
        Array.from({ length: clients }, (_, index) => whole('race', makeBytes(2_000, 71_000 + index), `${index}.bin`)),
      );
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(100);
      for (const answer of answers) if (answer.status !== 201) expectRefused(answer, 'The quota of 100 files');
      expect((await quotaOf('race')).files).toEqual({ used: 100, limit: 100 });
      const page = await send('GET', `${service.url}/api/files?limit=1000`, { headers: who('race') });
      expect(json<{ total: unknown }>(page).total).toEqual({ files: 100, bytes: 200_000 });
    });

    test.each(isLocal ? [200] : [])('bytes of %i uploads that begin first, likewise', async (clients) => {
      const size = 10 * KIB;
      const begun = await Promise.all(
        Array.from({ length: clients }, () => begin('races', { 'Upload-Length': String(size) })),
      );
      const locations = begun.filter(({ status }) => status === 201).map(({ headers }) => headers.location ?? '');
      expect(locations).toHaveLength(100);
      const sent = await Promise.all(
        locations.map((location, index) => patch(location, 0, makeBytes(size, 72_000 + index), who('races'))),
      );
      expect(sent.filter(({ status }) => status === 204)).toHaveLength(100);
      const { bytes, of } = await quotaOf('races');
      expect([bytes, of.files.bytes]).toEqual([{ used: 100 * size, limit: 100 * size }, 100 * size]);
    });

    test('every way by which a file comes is refused at once, and leaves nothing', async () => {
      const { fileId } = await putFile(service.url, 'one file', { filename: 'one.txt' }, who('ways'));
      const given = await putFile(service.url, 'of another owner', { filename: 'x' }, who('other'));
      const size = 'more'.length;
      const about = { 'Upload-Length': String(size), 'Upload-Metadata': encodeMetadata({ filename: 'more.txt' }) };
      const content = { 'Content-Length': String(size) };
      const to = (path: string, headers: Record<string, string>) =>
        send('POST', service.url + path, { headers: { ...who('ways'), ...headers }, body: 'more' });
      expectRefused(await begin('ways', about), '1 file has no room for this: 1 are taken');
      expectRefused(await begin('ways', { 'Upload-Defer-Length': '1' }));
      expectRefused(await begin('ways', { ...PIECE, ...about }, 'more'));
      for (const path of ['/uploads', '/api/files?name=more.txt']) {
        for (const complete of ['?1', '?0']) {
          const answer = await to(path, {
            ...RUFH,
            ...content,
            'Upload-Complete': complete,
            'Upload-Length': String(size),
          });
          expectRefused(answer);
          expect(answer.headers['content-type']).toContain('application/problem+json');
          expect(answer.headers.location).toBeUndefined();
        }
      }
      expectRefused(await to('/api/files?name=more.txt', content));
      for (const path of ['/upload', '/file/upload'])
        expectRefused(await sendForm(service.url + path, [[filePart('more.txt'), 'more']], who('ways')));
      const known = `/check?md5=${md5(Buffer.from('one file'))}&size=8`;
      expect((await send('GET', service.url + known, { headers: who('ways') })).status).toBe(200);
      expectRefused(await send('GET', `${service.url}${known}&filename=two.txt`, { headers: who('ways') }));
      const same = await send('GET', `${service.url}${known}&filename=one.txt`, { headers: who('ways') });
      expect(json(same)).toMatchObject({ status: 'exists' });

      const { files, openUploads } = await quotaOf('ways');
      expect([files, openUploads]).toEqual([
        { used: 1, limit: 1 },
        { used: 0, limit: 10_000 },
      ]);
      // What is there can be used.
      expect((await send('GET', `${service.url}/api/files/${fileId}/content`, { headers: who('ways') })).status).toBe(
        200,
      );
      const renamed = await send('PATCH', `${service.url}/api/files/${fileId}`, {
        headers: { ...who('ways'), 'Content-Type': 'application/json' },
        body: '{"name": "two.txt"}',
      });
      expect(renamed.status).toBe(200);
      expect(given.fileId).not.toBe('');
    });

    test('the trash counts, restoring is always possible, and open uploads have a bound of their own', async () => {
      const [first] = [
        await putFile(service.url, 'first', { filename: '1' }, who('trash')),
        await putFile(service.url, 'second', { filename: '2' }, who('trash')),
      ];
      await send('DELETE', `${service.url}/api/files/${first.fileId}`, { headers: who('trash') });
      expectRefused(await begin('trash', { 'Upload-Length': '1' }), '2 are taken, 1 of them by the trash');
      const { files, of } = await quotaOf('trash');
      expect([files, of.trash]).toEqual([
        { used: 2, limit: 2 },
        { files: 1, bytes: 5 },
      ]);
      const restored = await send('POST', `${service.url}/api/trash/restore`, {
        headers: { ...who('trash'), 'Content-Type': 'application/json' },
        body: JSON.stringify({ files: [first.fileId] }),
      });
      expect(restored.status).toBe(200);
      await deleteAll('trash');
      await emptyTrash('trash');
      const [begun, refused] = [
        await begin('trash', { 'Upload-Length': '1' }),
        await begin('trash', { 'Upload-Length': '1' }),
      ];
      expect([begun.status, refused.status, refused.code]).toEqual([201, 429, 'too_many_uploads']);
      expect((await quotaOf('trash')).openUploads).toEqual({ used: 1, limit: 1 });
    });

    test('a file of unknown length is cut at the bound, keeps what it has, and is continued once there is room', async () => {
      const old = makeBytes(3 * MIB, 73_001);
      const bytes = makeBytes(5 * MIB, 73_002);
      const { fileId } = await putFile(service.url, old, { filename: 'old' }, who('cut'));
      const { headers } = await begin('cut', {
        'Upload-Defer-Length': '1',
        'Upload-Metadata': encodeMetadata({ filename: 'new' }),
      });
      const location = headers.location ?? '';
      const chunks = (from: number) =>
        Readable.from(
          (function* () {
            for (let at = from; at < bytes.length; at += 64 * KIB) yield bytes.subarray(at, at + 64 * KIB);
          })(),
          { objectMode: false },
        );
      expectRefused(await patch(location, 0, chunks(0), who('cut')), `The quota of ${6 * MIB} bytes`);
      const kept = Number((await head(location, who('cut'))).headers['upload-offset']);
      expect(kept).toBeLessThanOrEqual(3 * MIB);
      expect(kept).toBeGreaterThan(2 * MIB);
      // Neither the rest nor its length is let in, however often it is tried; the length is not declared by that.
      expectRefused(
        await patch(location, kept, bytes.subarray(kept), { ...who('cut'), 'Upload-Length': String(bytes.length) }),
      );
      expectRefused(await patch(location, kept, chunks(kept), who('cut')));
      const offset = Number((await head(location, who('cut'))).headers['upload-offset']);
      expect((await head(location, who('cut'))).headers['upload-length']).toBeUndefined();

      await send('DELETE', `${service.url}/api/files/${fileId}`, { headers: who('cut') });
      expectRefused(
        await patch(location, offset, bytes.subarray(offset), { ...who('cut'), 'Upload-Length': String(bytes.length) }),
        'by the trash',
      );
      await emptyTrash('cut');
      const rest = await patch(location, offset, bytes.subarray(offset), {
        ...who('cut'),
        'Upload-Length': String(bytes.length),
      });
      expect([rest.status, rest.headers['tidemark-file-id']]).toEqual([204, expect.any(String)]);
      const file = await send('GET', `${service.url}/api/files/${String(rest.headers['tidemark-file-id'])}`, {
        headers: who('cut'),
      });
      expect(json(file)).toMatchObject({ md5: md5(bytes), size: bytes.length });
      expect((await quotaOf('cut')).bytes.used).toBe(5 * MIB);
    });

    test('a body of unknown length in one request leaves nothing where it does not fit', async () => {
      const chunked = () => Readable.from([makeBytes(700, 74_001), makeBytes(700, 74_002)], { objectMode: false });
      const post = (headers: Record<string, string>) =>
        send('POST', `${service.url}/api/files?name=a`, { headers: { ...who('whole'), ...headers }, body: chunked() });
      expectRefused(await post({}), 'The quota of 1000 bytes');
      // Of Resumable Uploads for HTTP the client knows the address: what arrived is kept, until it ends the upload.
      const kept = await post({ ...RUFH, 'Upload-Complete': '?1' });
      expectRefused(kept, 'The quota of 1000 bytes');
      expect((await quotaOf('whole')).bytes.used).toBeGreaterThan(0);
      const ended = await send('DELETE', kept.headers.location ?? '', { headers: { ...who('whole'), ...RUFH } });
      expect(ended.status).toBe(204);
      expectRefused(await begin('whole', { ...PIECE, 'Upload-Defer-Length': '1' }, makeBytes(1400, 74_003)));
      expectRefused(await sendForm(`${service.url}/upload`, [[filePart('a'), makeBytes(1400, 74_004)]], who('whole')));
      const { bytes } = await quotaOf('whole');
      expect(bytes.used).toBe(0);
      // A length that is only expected may take up all of it: the bytes that follow are not counted once more.
      const expected = await send('POST', `${service.url}/uploads`, {
        headers: { ...RUFH, ...who('whole'), 'Upload-Complete': '?0', 'Upload-Length': '1000' },
        body: makeBytes(600, 74_006),
      });
      expect(expected.status, expected.body).toBe(201);
      await send('DELETE', expected.headers.location ?? '', { headers: { ...RUFH, ...who('whole') } });
      expect(
        (await sendForm(`${service.url}/upload`, [[filePart('a'), makeBytes(1000, 74_005)]], who('whole'))).status,
      ).toBe(200);
    });

    test('what cannot fit is refused before its bytes are read', async () => {
      const { headers } = await begin('early', { 'Upload-Defer-Length': '1' });
      const size = 300 * KIB;
      /** The first byte comes, and nothing more. */
      const stuck = (first: string) => {
        const body = new PassThrough();
        body.write(first);
        return body;
      };
      const patched = await send('PATCH', headers.location ?? '', {
        headers: {
          ...PIECE,
          ...who('early'),
          'Content-Length': String(size),
          'Upload-Length': String(size),
          'Upload-Offset': '0',
          'Upload-Checksum': `md5 ${Buffer.alloc(16).toString('base64')}`,
        },
        body: stuck('a'),
      });
      expectRefused(patched);
      const about = 'Content-Disposition: form-data; name="file"; filename="a"';
      for (const path of ['/upload', '/file/upload']) {
        const form = await send('POST', service.url + path, {
          headers: {
            ...who('early'),
            'Content-Type': 'multipart/form-data; boundary=b',
            'Content-Length': String(size),
          },
          body: stuck(`--b\r\n${about}\r\n\r\nfirst`),
        });
        expectRefused(form);
      }
      // Of Resumable Uploads for HTTP, where the length is also one that is only expected; and an ordinary upload.
      const rufh = { ...RUFH, ...who('early') };
      const begun = await send('POST', `${service.url}/uploads`, { headers: { ...rufh, 'Upload-Complete': '?0' } });
      expect(begun.status, begun.body).toBe(201);
      const target = `${service.url}/api/files?name=a`;
      const append = { 'Upload-Offset': '0', 'Content-Type': 'application/partial-upload' };
      for (const [method, url, given] of [
        ['POST', target, { ...rufh, 'Upload-Complete': '?1' }],
        ['POST', target, { ...rufh, 'Upload-Complete': '?0', 'Upload-Length': String(size) }],
        ['POST', target, who('early')],
        ['PATCH', begun.headers.location ?? '', { ...rufh, ...append, 'Upload-Complete': '?1' }],
        [
          'PATCH',
          begun.headers.location ?? '',
          { ...rufh, ...append, 'Upload-Complete': '?0', 'Upload-Length': String(2 * size) },
        ],
      ] as const) {
        const answer = await send(method, url, {
          headers: { ...given, 'Content-Length': String(size) },
          body: stuck('a'),
        });
        expectRefused(answer);
      }
      const { bytes, openUploads } = await quotaOf('early');
      // The two that were begun before.
      expect([bytes.used, openUploads.used]).toEqual([0, 2]);
    });

    test('a body of unknown length ends once others have taken the room; what has arrived by then is kept', async () => {
      const { headers } = await begin('look', { 'Upload-Defer-Length': '1' });
      const location = headers.location ?? '';
      const running = openPatch(location, 0, undefined, who('look'));
      let isOver = false;
      void running.answer.then(() => (isOver = true));
      const offset = async (): Promise<number> =>
        Number((await head(location, who('look'))).headers['upload-offset'] ?? -1);
      await running.write(makeBytes(600, 74_010));
      await expect.poll(offset).toBe(600);
      expect((await whole('look', makeBytes(400, 74_011), 'all that is left')).status).toBe(201);
      // Who asks for the offset has the bytes committed that have come, and after a commit the room is looked at.
      await expect
        .poll(async () => {
          if (!isOver) await running.write(Buffer.of(0));
          await offset();
          return isOver;
        })
        .toBe(true);
      expectRefused(await answered(running), 'The quota of 1000 bytes has no room for this');
      expect(await offset()).toBeGreaterThan(600);
      expect((await quotaOf('look')).bytes.used).toBe(400 + (await offset()));
    });

    test('who sends by a link is refused without the figures of its owner', async () => {
      const link = await send('POST', `${service.url}/api/links`, {
        headers: { ...who('linked'), 'Content-Type': 'application/json' },
        body: JSON.stringify({ kind: 'upload', folder: 'in' }),
      });
      const { url } = json<{ url: string }>(link);
      const size = 1400;
      const sendTo = (to: string, headers: Record<string, string>, body?: Uint8Array) =>
        send('POST', to, { headers, ...(body ? { body } : {}) });
      const deferred = await sendTo(url, { ...TUS, 'Upload-Defer-Length': '1' });
      const location = deferred.headers.location ?? '';
      for (const answer of [
        await sendTo(url, { ...TUS, 'Upload-Length': String(size) }),
        await sendTo(url, { ...RUFH, 'Upload-Complete': '?1' }, makeBytes(size, 76_001)),
        await patch(location, 0, makeBytes(size, 76_002)),
        await patch(location, 0, makeBytes(size, 76_003), { 'Upload-Length': String(size) }),
      ]) {
        expectRefused(answer, 'There is no room left for this within the quota.');
        expect(answer.body).not.toMatch(/1000|taken|trash/);
      }
    });

    test('partials and the final that joins them count once', async () => {
      const concat = (value: string, length?: number) =>
        begin('parts', {
          'Upload-Concat': value,
          ...(length === undefined ? {} : { 'Upload-Length': String(length) }),
        });
      const partials: string[] = [];
      for (const seed of [1, 2]) {
        const { headers } = await concat('partial', 500);
        partials.push(headers.location ?? '');
        expect((await patch(headers.location ?? '', 0, makeBytes(500, 75_000 + seed), who('parts'))).status).toBe(204);
      }
      expectRefused(await concat('partial', 1));
      const paths = partials.map((partial) => new URL(partial).pathname);
      expectRefused(await concat(`final;${[...paths, paths[0]].join(' ')}`));
      expect((await concat(`final;${paths.join(' ')}`)).status).toBe(201);
      await expect.poll(async () => (await quotaOf('parts')).of.files).toEqual({ files: 1, bytes: 1000 });
      await expect.poll(async () => (await quotaOf('parts')).bytes.used).toBe(1000);
    });
  });
});
