/** Every route with requests that are too much or not what it reads: the right status, and nothing is held up or done. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { type Answer, send, TUS } from '../../harness/tus.ts';
import { filePart, json, multipart, raw, storedNames } from '../support.ts';
import { countRows } from '../traces.ts';
import { type Ask, ask } from './ask.ts';
import { FORM_TYPE } from './forms.ts';
import { type Route, rows, type Takes } from './routes.ts';
import { HALF, makeKnown, makeThing, nothing, type Thing } from './things.ts';

const MANY = 'a&'.repeat(15_000);
const MIB = 1024 * 1024;

let service: RunningService;
/** What only requests that are to be refused are about. */
let kept: Thing;
beforeAll(async () => {
  service = await startService({ env: { DIGESTS: 'md5,sha1', TRASH_TTL: '7d' } });
  kept = await makeThing(service.url, {});
});
afterAll(() => service.stop());

/** Asks for what is to be refused. */
async function refused(request: Ask): Promise<[status: number, code: string | undefined]> {
  const answer = await ask(service.url, request);
  return [answer.status, answer.code];
}

/** A test of what is to be refused: fails if any of it has done something. */
function leavingNothing<T extends unknown[]>(action: (...row: T) => Promise<void>): (...row: T) => Promise<void> {
  return async (...row) => {
    const before = await traces();
    await action(...row);
    await expect.poll(traces).toEqual(before);
    await expectKept();
  };
}

async function traces(): Promise<unknown> {
  return { stored: await storedNames(service), ...countRows(service.dataDir) };
}

async function expectKept(): Promise<void> {
  const file = await send('GET', `${service.url}/api/files/${kept.fileId}`);
  expect([file.status, json(file)['name']]).toEqual([200, kept.name]);
  const open = await send('HEAD', `${service.url}/uploads/${kept.openId}`, { headers: TUS });
  expect([open.status, open.headers['upload-offset']]).toEqual([200, String(HALF)]);
}

/** Of a thing that is kept; bytes that come along are others. */
function requestOf(route: Route): Ask {
  // With the digests of what is here, a form is answered unread.
  if (route.takes.includes('form')) return { method: route.method, ...route.ask(nothing()) };
  const { bytes, name } = nothing();
  return { method: route.method, ...route.ask({ ...kept, bytes, name }) };
}

/** About a thing that was made for it. */
async function askOfNew(route: Route): Promise<Omit<Ask, 'method'>> {
  return route.ask(await makeKnown(service.url, {}, (thing) => route.ask(thing)));
}

function taking(takes: Takes): [string, Route][] {
  return rows((route) => route.takes.includes(takes));
}

describe('a query of 15,000 keys', () => {
  test.each(taking('query'))(
    '%s refuses it',
    leavingNothing(async (_, route) => {
      const request = requestOf(route);
      const [pathname = '', query = ''] = request.path.split('?');
      const outcome = await refused({ ...request, path: `${pathname}?${MANY}${query}` });
      expect(outcome).toEqual([400, route.method === 'HEAD' ? undefined : 'invalid_request']);
    }),
  );

  test.each(rows(({ takes }) => !takes.includes('query')))(
    '%s, which reads none, does not look at it',
    async (_, route) => {
      const { path, ...rest } = await askOfNew(route);
      const answer = await ask(service.url, { method: route.method, ...rest, path: `${path}?${MANY}` });
      expect(answer.status, answer.body).toBe(route.status);
    },
  );
});

describe('request line and headers', () => {
  test.each(rows())('%s: an address of 40,000 bytes is refused', async (_, route) => {
    const { path } = requestOf(route);
    const long = `${path}${path.includes('?') ? '&' : '?'}${'x'.repeat(40_000)}`;
    expectRefused(await raw(service, `${route.method} ${long} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
  });

  test.each(rows())('%s: a header of 40,000 bytes is refused', async (_, route) => {
    const { path } = requestOf(route);
    const header = `Upload-Metadata: note ${'YWFh'.repeat(10_000)}`;
    expectRefused(await raw(service, `${route.method} ${path} HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`));
    await expectKept();
  });

  function expectRefused(answer: string): void {
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    const body = answer.slice(answer.indexOf('\r\n\r\n'));
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'invalid_request' } });
  }
});

describe('a body that nobody asked for', () => {
  const reading: readonly Takes[] = ['json', 'urlencoded', 'form', 'bytes', 'ids', 'password'];
  // A POST below /uploads with a body is one that brings bytes.
  const isAsked = (route: Route): boolean => route.ask(nothing()).path !== '/uploads' && route.by !== 'by tus';
  test.each(rows((route) => isAsked(route) && !route.takes.some((kind) => reading.includes(kind))))(
    '%s answers all the same',
    async (_, route) => {
      const request = { method: route.method, ...(await askOfNew(route)) };
      const answer = await ask(service.url, { ...request, body: Buffer.alloc(MIB) });
      expect(answer.status, answer.body).toBe(route.status);
    },
  );
});

describe('JSON', () => {
  test.each(taking('json'))(
    '%s refuses what is none',
    leavingNothing(async (_, route) => {
      const request = requestOf(route);
      for (const body of ['', '{', '[]', 'null', '"x"', '1', '{"name":"x"}x', '\ufeff{"name":"x"}', 'name=x']) {
        expect(await refused({ ...request, body }), body).toEqual([400, 'invalid_request']);
      }
      for (const body of ['{}', '{"name":1}', '{"name":null}', '{"name":["x"]}', '{"__proto__":{"name":"x"}}']) {
        expect(await refused({ ...request, body }), body).toEqual([400, 'invalid_field']);
      }
      for (const length of [(route.mostBodyBytes ?? 16 * 1024) + 1, MIB]) {
        expect(await refused({ ...request, body: JSON.stringify({ name: 'x', pad: 'y'.repeat(length) }) })).toEqual([
          413,
          'too_large',
        ]);
      }
      expect(await refused({ ...request, body: '['.repeat(16_000) })).toEqual([400, 'invalid_request']);
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
        expect(await refused({ ...request, headers: { 'Content-Type': type } }), type).toEqual([
          415,
          'unsupported_media_type',
        ]);
      }
      expect(await refused({ ...request, headers: {} })).toEqual([415, 'unsupported_media_type']);
    }),
  );
});

describe('ids', () => {
  test.each(taking('ids'))(
    '%s refuses what are none, too many of them, and too much',
    leavingNothing(async (_, route) => {
      const request = requestOf(route);
      for (const body of ['', '{', '[]', 'null', '{"id":["x"]}x', '['.repeat(16_000)]) {
        expect(await refused({ ...request, body }), body.slice(0, 50)).toEqual([400, 'invalid_request']);
      }
      for (const body of [
        '{}',
        '{"id":1}',
        '{"id":[]}',
        '{"id":[1]}',
        '{"id":["x"],"name":1}',
        '{"__proto__":{"id":["x"]}}',
      ]) {
        expect(await refused({ ...request, body }), body).toEqual([400, 'invalid_field']);
      }
      expect(await refused({ ...request, body: JSON.stringify({ id: ['x'.repeat(6 * MIB)] }) })).toEqual([
        413,
        'too_large',
      ]);
      const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
      expect(await refused({ ...request, headers, body: MANY })).toEqual([400, 'invalid_request']);
      expect(await refused({ ...request, headers, body: `${'x=1&'.repeat(200)}id=x` })).toEqual([
        400,
        'invalid_request',
      ]);
      for (const type of ['text/plain', 'multipart/form-data; boundary=x', '']) {
        expect(await refused({ ...request, headers: { 'Content-Type': type } }), type).toEqual([
          415,
          'unsupported_media_type',
        ]);
      }
    }),
  );
});

describe('urlencoded parameters', () => {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };

  test.each(taking('urlencoded'))(
    '%s refuses too many of them',
    leavingNothing(async (_, route) => {
      const request = requestOf(route);
      for (const body of [MANY, 'x='.padEnd(MIB, 'y')]) {
        expect(await refused({ ...request, headers, body })).toEqual([413, 'too_large']);
      }
    }),
  );

  test.each(taking('urlencoded'))('%s reads them', async (_, route) => {
    const [path = '', query = ''] = (await askOfNew(route)).path.split('?');
    const answer = await ask(service.url, { method: route.method, path, headers, body: query });
    expect(answer.status, answer.body).toBe(route.status);
  });
});

describe('forms', () => {
  const part = [filePart('a.txt'), 'a'] as const;
  const field = ['Content-Disposition: form-data; name="x"', 'y'.repeat(40_000)] as const;
  const wrong: [title: string, body: Buffer, code: string][] = [
    ['no part', form([]), 'invalid_field'],
    ['no file', form([['Content-Disposition: form-data; name="file"', 'a']]), 'invalid_field'],
    ['a file in another field', form([[filePart('a.txt', 'other'), 'a']]), 'invalid_field'],
    ['two files', form([part, part]), 'invalid_field'],
    ['a file that was not chosen', form([[filePart(''), '']]), 'invalid_field'],
    ['nothing', Buffer.alloc(0), 'incomplete_form'],
    ['no form', Buffer.from('no form at all'), 'incomplete_form'],
    ['a form that is cut short', form([part]).subarray(0, -20), 'incomplete_form'],
  ];

  function form(parts: readonly (readonly [string, string])[]): Buffer {
    return multipart('tidemark-test-boundary', parts);
  }

  test.each(taking('form').flatMap(([title, route]) => wrong.map((row) => [title, ...row, route] as const)))(
    '%s refuses %s',
    leavingNothing(async (_title, _what, body, code, route) => {
      expect(await refused({ ...requestOf(route), body })).toEqual([400, code]);
    }),
  );

  test.each(taking('form'))(
    '%s refuses what is said to be no form',
    leavingNothing(async (_, route) => {
      const request = requestOf(route);
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'application/json',
        'multipart/mixed',
        '',
      ]) {
        expect(await refused({ ...request, headers: { 'Content-Type': type } }), type).toEqual([
          415,
          'unsupported_media_type',
        ]);
      }
      expect(await refused({ ...request, headers: {} })).toEqual([415, 'unsupported_media_type']);
      const withoutBoundary = { 'Content-Type': 'multipart/form-data' };
      expect(await refused({ ...request, headers: withoutBoundary })).toEqual([400, 'invalid_request']);
    }),
  );

  test.each(taking('form'))('%s takes a file among a hundred fields', async (_, route) => {
    const { bytes } = nothing();
    const parts = [...Array.from({ length: 100 }, () => field), [filePart('a.txt'), bytes] as const];
    const { path } = route.ask(nothing());
    const [pathname = ''] = path.split('?');
    const body = multipart('tidemark-test-boundary', parts);
    const answer = await ask(service.url, { method: 'POST', path: pathname, headers: FORM_TYPE, body });
    expect(answer.status, answer.body).toBe(route.status);
  });
});

describe('tus', () => {
  const speaking = rows(
    (route) => route.path.startsWith('/uploads') && route.ask(nothing()).headers?.['Tus-Resumable'] === '1.0.0',
  );

  test.each(speaking.filter(([, { method }]) => method !== 'GET' && method !== 'HEAD'))(
    '%s needs Tus-Resumable: 1.0.0',
    leavingNothing(async (_, route) => {
      const request = requestOf(route);
      const { 'Tus-Resumable': _version, ...others } = request.headers ?? {};
      for (const headers of [others, { ...others, 'Tus-Resumable': '0.2.2' }, { ...others, 'Tus-Resumable': '' }]) {
        expect(await refused({ ...request, headers })).toEqual([412, 'unsupported_tus_version']);
      }
    }),
  );

  test.each(taking('bytes').filter(([, { path, speaks }]) => path.startsWith('/uploads') && speaks === undefined))(
    '%s needs the type of bytes',
    leavingNothing(async (_, route) => {
      const request = requestOf(route);
      for (const type of ['application/octet-stream', 'multipart/form-data; boundary=x', 'application/offset', '']) {
        const headers = { ...request.headers, 'Content-Type': type };
        expect(await refused({ ...request, headers }), type).toEqual([415, 'unsupported_media_type']);
      }
    }),
  );

  test.each(speaking)('%s is what a POST is with X-HTTP-Method-Override', async (_, route) => {
    const by = async (asking: (request: Ask) => Promise<Answer>): Promise<[number, string]> => {
      const answer = await asking({ method: route.method, ...(await askOfNew(route)) });
      return [answer.status, answer.body];
    };
    const directly = await by((request) => ask(service.url, request));
    const overridden = await by(({ method, headers, ...rest }) =>
      ask(service.url, { ...rest, method: 'POST', headers: { ...headers, 'X-HTTP-Method-Override': method } }),
    );
    expect(overridden).toEqual(directly);
  });

  test.each(rows(({ path }) => !/^(?:\/s\/:secret)?\/uploads/.test(path)))(
    '%s does not know X-HTTP-Method-Override',
    async (_, route) => {
      const request = { method: route.method, ...(await askOfNew(route)) };
      const headers = { ...request.headers, 'X-HTTP-Method-Override': route.method === 'DELETE' ? 'GET' : 'DELETE' };
      expect((await ask(service.url, { ...request, headers })).status).toBe(route.status);
    },
  );
});
