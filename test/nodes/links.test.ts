/** Links where much happens at once, or in the middle of a download: by one node, and by three whose requests go round. */
import { get, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { CreatedLinkJson, LinkJson, LinkPageJson } from '../../server/wire/links.ts';
import { makeBytes } from '../harness/bytes.ts';
import { CHEAP_PASSWORDS } from '../harness/cheap-passwords.ts';
import { type Answer, send } from '../harness/tus.ts';
import { readZip } from '../harness/zip-readers.ts';
import { bearer, json, putFile } from '../http/support.ts';
import { GROUNDS, type Reached } from './in-turn.ts';

const ANNA = bearer('annas-secret-1');
const JSON_TYPE = { 'Content-Type': 'application/json' };
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
/** More than what lies in buffers between the service and a client that does not read. */
const LARGE = makeBytes(16_000_000, 7_400);

describe.each(GROUNDS)('links of $title', ({ isHere, open }) => {
  describe.skipIf(!isHere)('here', () => {
    let reached: Reached;
    let large: string;
    let last: string;
    beforeAll(async () => {
      reached = await open({ ...CHEAP_PASSWORDS, AUTH_TOKENS: 'anna:annas-secret-1' });
      large = (await putFile(reached.url, LARGE, { filename: 'shared/1 large.bin' }, ANNA)).fileId;
      last = (await putFile(reached.url, 'the last one', { filename: 'shared/2 last.txt' }, ANNA)).fileId;
    });
    afterAll(() => reached?.stop());

    async function make(given: object): Promise<CreatedLinkJson> {
      const options = { headers: { ...ANNA, ...JSON_TYPE }, body: JSON.stringify(given) };
      return json<CreatedLinkJson>(await send('POST', `${reached.url}/api/links`, options));
    }

    async function listed(id: string): Promise<LinkJson | undefined> {
      const page = await send('GET', `${reached.url}/api/links?limit=1000`, { headers: ANNA });
      return json<LinkPageJson>(page).links.find((link) => link.id === id);
    }

    function tryPassword(url: string, password: string): Promise<Answer> {
      return send('POST', url, { headers: FORM, body: new URLSearchParams({ password }).toString() });
    }

    /** Begins a download, and does something once its first bytes are here and the rest is not read. */
    async function inTheMiddle(
      url: string,
      what: () => Promise<unknown>,
    ): Promise<{ answer: IncomingMessage; bytes: Buffer | Error }> {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const request = get(url, { agent: false }, (response) => {
          response.once('readable', () => resolve(response));
        }).on('error', reject);
        onTestFinished(() => void request.destroy());
      });
      expect(answer.statusCode).toBe(200);
      await what();
      return { answer, bytes: await buffer(answer).catch((error: Error) => error) };
    }

    test('for 3 downloads, 50 at once in three rounds: 3 each time, and no byte to the others', async () => {
      for (let round = 0; round < 3; round++) {
        const { id, url } = await make({ files: [last], folders: ['shared'], downloads: 3 });
        const paths = ['/files/1', '/files/2/2%20last.txt', '/files/1?download', '/files/2/2%20last.txt?preview'];
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, index) => {
            const headers: Record<string, string> = index % 3 === 0 ? { Range: 'bytes=1-' } : {};
            return send('GET', url + paths[index % paths.length], { headers });
          }),
        );
        const served = answers.filter(({ status }) => status < 400);
        expect(served).toHaveLength(3);
        for (const answer of answers) {
          if (served.includes(answer)) continue;
          expect([answer.status, answer.code, answer.headers['set-cookie']]).toEqual([410, 'link_used_up', undefined]);
        }
        expect(await listed(id)).toMatchObject({ downloads: 3, state: 'used_up' });
      }
    });

    test('ten wrong passwords and no more are checked, however many come at once', async () => {
      const { url } = await make({ files: [last], password: 'Ebbe und Flut' });
      const codes: (string | undefined)[] = [];
      // Those for which there is no place are no attempts.
      while (!codes.includes('too_many_attempts')) {
        const tries = Array.from({ length: 24 }, (_, index) => tryPassword(url, `wrong ${index}`));
        codes.push(...(await Promise.all(tries)).map(({ code }) => code));
      }
      expect(codes.filter((code) => code === 'wrong_password')).toHaveLength(10);
      expect(new Set(codes)).not.toContain(undefined);
      const right = await Promise.all(Array.from({ length: 6 }, () => tryPassword(url, 'Ebbe und Flut')));
      expect(new Set(right.map(({ code }) => code))).toEqual(new Set(['too_many_attempts']));
    });

    test('that expires in the middle of a download: that one comes whole, and nothing begins after it', async () => {
      const { url } = await make({ files: [large], expiresIn: 3, downloads: 5 });
      const file = `${url}/files/1`;
      const { answer, bytes } = await inTheMiddle(file, async () => {
        await expect.poll(async () => (await send('HEAD', file)).status).toBe(410);
      });
      expect(LARGE.equals(bytes as Buffer)).toBe(true);
      const ticket = { Cookie: (answer.headers['set-cookie']?.[0] ?? '').split(';', 1)[0] ?? '', Range: 'bytes=9-' };
      for (const headers of [{}, ticket]) expect((await send('GET', file, { headers })).code).toBe('link_expired');
    });

    test.each<[string, object]>([
      ['files', {}],
      ['a folder', {}],
    ])(
      'to %s that is revoked in the middle of a ZIP: that one is whole, and its ticket opens nothing',
      async (what) => {
        const { id, url } = await make({
          ...(what === 'files' ? { files: [large, last] } : { folders: ['shared'] }),
          downloads: 5,
        });
        const { answer, bytes } = await inTheMiddle(`${url}/archive`, async () => {
          const revoked = await send('DELETE', `${reached.url}/api/links/${id}`, { headers: ANNA });
          expect(revoked.status).toBe(204);
        });
        if (bytes instanceof Error) throw bytes;
        expect(bytes.length).toBe(Number(answer.headers['content-length']));
        const entries = readZip(bytes).map((entry) => entry.bytes);
        expect(entries.map(({ length }) => length)).toEqual([LARGE.length, 12]);
        expect(LARGE.equals(entries[0] ?? Buffer.alloc(0))).toBe(true);
        expect(entries[1]?.toString()).toBe('the last one');
        const ticket = { Cookie: (answer.headers['set-cookie']?.[0] ?? '').split(';', 1)[0] ?? '', Range: 'bytes=9-' };
        expect(ticket.Cookie).not.toBe('');
        for (const headers of [{}, ticket]) expect((await send('GET', `${url}/archive`, { headers })).status).toBe(404);
      },
    );

    test('to a folder that moves in the middle of a ZIP, and another comes to its path: it has its own files', async () => {
      await putFile(reached.url, 'of another folder', { filename: 'another/2 last.txt' }, ANNA);
      const { url } = await make({ folders: ['shared'] });
      const move = async (from: string, path: string): Promise<void> => {
        const asked = `${reached.url}/api/folders?path=${encodeURIComponent(from)}`;
        const moved = await send('PATCH', asked, {
          headers: { ...ANNA, ...JSON_TYPE },
          body: JSON.stringify({ path }),
        });
        expect(moved.status, moved.body).toBe(200);
      };
      const { bytes } = await inTheMiddle(`${url}/archive`, async () => {
        await move('shared', 'moved');
        await move('another', 'shared');
      });
      if (bytes instanceof Error) throw bytes;
      const [first, second, ...more] = readZip(bytes);
      expect([first?.name, second?.name, more.length]).toEqual(['shared/1 large.bin', 'shared/2 last.txt', 0]);
      expect([LARGE.equals(first?.bytes ?? Buffer.alloc(0)), second?.bytes.toString()]).toEqual([true, 'the last one']);
      await move('shared', 'another');
      await move('moved', 'shared');
    });

    test('a ZIP by link and by account is the same at every node, and goes on at another one', async () => {
      const [sent, rest] = [makeBytes(300_000, 7_401), 100_000];
      const [origin = ''] = reached.urls;
      for (const [name, content] of [
        ['large.bin', sent],
        ['last.txt', 'it is the last'],
      ] as const)
        await putFile(origin, content, { filename: `packed/${name}` }, ANNA);
      const { url } = await make({ folders: ['packed'] });
      const zips: { from: string; etag: string; bytes: Buffer }[] = [];
      for (const node of reached.urls.toReversed()) {
        for (const [path, headers] of [
          [`${new URL(url).pathname}/archive`, {}],
          ['/api/archive?folder=packed&within=', ANNA],
        ] as const) {
          // None of the nodes has read these contents before it is asked for their end.
          for (const Range of [`bytes=${rest}-`, 'bytes=0-']) {
            const answer = await fetch(node + path, { headers: { ...headers, Range } });
            expect(answer.status).toBe(206);
            const bytes = Buffer.from(await answer.arrayBuffer());
            zips.push({ from: Range, etag: answer.headers.get('ETag') ?? '', bytes });
          }
        }
      }
      const whole = zips.find(({ from }) => from === 'bytes=0-')?.bytes ?? Buffer.alloc(0);
      const entries = readZip(whole);
      expect(entries.map(({ name }) => name)).toEqual(['packed/large.bin', 'packed/last.txt']);
      expect([sent.equals(entries[0]?.bytes ?? Buffer.alloc(0)), entries[1]?.bytes.toString()]).toEqual([
        true,
        'it is the last',
      ]);
      expect(new Set(zips.map(({ etag }) => etag)).size).toBe(1);
      for (const { from, bytes } of zips)
        expect(bytes.equals(from === 'bytes=0-' ? whole : whole.subarray(rest)), from).toBe(true);
    });

    test('to a folder of which a file vanishes in the middle of a ZIP: it breaks off, and never looks whole', async () => {
      await putFile(reached.url, LARGE, { filename: 'vanishing/1 large.bin' }, ANNA);
      const { fileId } = await putFile(reached.url, 'it goes', { filename: 'vanishing/2 goes.txt' }, ANNA);
      const { url } = await make({ folders: ['vanishing'] });
      const { answer, bytes } = await inTheMiddle(`${url}/archive`, async () => {
        const deleted = await send('DELETE', `${reached.url}/api/files/${fileId}`, { headers: ANNA });
        expect(deleted.status).toBe(204);
      });
      expect(bytes).toBeInstanceOf(Error);
      expect(answer.complete).toBe(false);
      // As it is now.
      const again = await new Promise<IncomingMessage>((resolve, reject) => {
        get(`${url}/archive`, { agent: false }, resolve).on('error', reject);
      });
      expect(readZip(await buffer(again)).map(({ name }) => name)).toEqual(['vanishing/1 large.bin']);
    });
  });
});
