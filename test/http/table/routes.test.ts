/** The table has every route of the service; each answers to its own methods, and refuses the rest in the same words. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { type Answer, TUS } from '../../harness/tus.ts';
import { bearer } from '../support.ts';
import { ask, wholeOf } from './ask.ts';
import { routesOfRouter, routesOfProtocols } from './registered.ts';
import { ROUTES, rows } from './routes.ts';
import { makeKnown, makeNamed, nothing, type Thing } from './things.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'TRACE'];
const ANNA = bearer('annas-secret-1');

let service: RunningService;
let guarded: RunningService;
beforeAll(async () => {
  [service, guarded] = await Promise.all([
    startService({ env: { TRASH_TTL: '7d' } }),
    startService({ env: { AUTH_TOKENS: 'anna:annas-secret-1', DIGESTS: 'md5,sha1', TRASH_TTL: '7d' } }),
  ]);
});
afterAll(() => Promise.all([service.stop(), guarded.stop()]));

const inTable = new Set(ROUTES.map(({ method, path }) => `${method} ${path}`));

const PATHS = [...new Set(ROUTES.map(({ path }) => path))];

describe('the table', () => {
  test('has every route of the service', async () => {
    const missing = [...routesOfRouter(), ...(await routesOfProtocols(service.url))].filter(
      (route) => !inTable.has(route),
    );
    expect(
      missing.map(
        (route) =>
          `${route} is a route of the service without a row in the table: ` +
          'add one to test/http/table/routes.ts that says who may ask it, what it takes and what it answers.',
      ),
    ).toEqual([]);
  });

  test('has no route that the service does not have', async () => {
    const registered = [...routesOfRouter(), ...(await routesOfProtocols(service.url))];
    expect([...inTable].filter((route) => !registered.includes(route))).toEqual([]);
  });

  test('has no route that docs/http-api.md does not describe', async () => {
    const page = await readFile(fileURLToPath(new URL('../../../../docs/http-api.md', import.meta.url)), 'utf8');
    const told = PATHS.map((path) =>
      path
        .replace(':secret', '<secret>')
        .replace(':position', '<position>')
        .replace('/*path', '/<path>')
        .replace(/^\/uploads.*/, '/uploads')
        .replace(':id', '<id>')
        .replace(':name', ''),
    );
    // As an address with a query, of a content, or as it is.
    const isTold = (path: string): boolean => ['`', '?', '<md5>'].some((end) => page.includes(path + end));
    expect(told.filter((path) => !isTold(path))).toEqual([]);
  });
});

/** Methods that the table has for a path; where it can be read, HEAD too. */
function allowedFor(path: string): string[] {
  const methods = new Set<string>(
    ROUTES.filter((route) => route.path === path && route.speaks === undefined).map(({ method }) => method),
  );
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods];
}

function sample(path: string): string {
  return path.replaceAll(/:\w+/g, nothing().fileId);
}

describe.each(PATHS)('%s', (path) => {
  const allowed = allowedFor(path);

  test(`every method but ${allowed.join(', ')} is 405, with Allow`, async () => {
    for (const method of METHODS.filter((name) => !allowed.includes(name))) {
      const answer = await ask(service.url, { method, path: sample(path), headers: TUS });
      expect(answer.status, method).toBe(405);
      expect((answer.headers.allow ?? '').split(', ').toSorted(), method).toEqual([...allowed, 'OPTIONS'].toSorted());
    }
  });

  test(`${allowed.join(', ')} are not`, async () => {
    for (const method of allowed) {
      const answer = await ask(service.url, { method, path: sample(path), headers: TUS, endless: true });
      expect(answer.status, method).not.toBe(405);
    }
  });

  test('OPTIONS needs no token, and gives leave to pages that may use the service alone', async () => {
    const headers = { Origin: 'https://app.example', 'Access-Control-Request-Method': 'PATCH' };
    const isTarget = /^(?:\/s\/:secret)?\/uploads|^\/s\/:secret$|^\/api\/files$/.test(path);
    const status = isTarget ? 200 : 204;
    const allowing = await ask(guarded.url, { method: 'OPTIONS', path: sample(path), headers });
    expect([allowing.status, allowing.headers['access-control-allow-origin']]).toEqual([status, '*']);
    const methods = String(allowing.headers['access-control-allow-methods']).split(', ');
    expect(methods).toEqual(expect.arrayContaining(allowed));
    const refusing = await ask(service.url, { method: 'OPTIONS', path: sample(path), headers });
    expect(refusing.status).toBe(status);
    expect(Object.keys(refusing.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    expect((await ask(service.url, { method: 'OPTIONS', path: sample(path) })).status).toBe(status);
  });
});

test.each([
  '/nowhere',
  '/uploads/x/y',
  '/api',
  '/api/files/x/y',
  '/files',
  '/files/a/b',
  '/check/x',
  '/file',
  '/file/x',
])('%s, which is no path, is 404 for every method', async (path) => {
  for (const method of METHODS) {
    const answer = await ask(service.url, { method, path, headers: TUS });
    expect(answer.status, method).toBe(404);
  }
});

describe('to its owner', () => {
  test.each(rows())('%s answers as the table says', async (_, route) => {
    const thing = await makeKnown(guarded.url, ANNA, (named) => route.ask(named));
    const { headers, ...rest } = route.ask(thing);
    const answer = await ask(guarded.url, { method: route.method, ...rest, headers: { ...headers, ...ANNA } });
    expect(answer.status, answer.body).toBe(route.status);
  });

  test.each(rows(({ method }) => method === 'GET'))('HEAD is %s without the body', async (_, route) => {
    for (const thing of [await makeNamed(service.url, {}, (named) => route.ask(named)), nothing()]) {
      const request = route.ask(thing);
      // GET first: with a name, /check makes a file by it, of which HEAD tells then.
      const got = await ask(service.url, { method: 'GET', ...request });
      const head = await ask(service.url, { method: 'HEAD', ...request });
      expect(comparable(head, thing)).toEqual(comparable({ ...got, body: '' }, thing));
    }
  });
});

/** Without what is of one connection alone. */
function comparable({ headers, ...answer }: Answer, { name }: Thing): unknown {
  const { connection: _, 'keep-alive': _alive, 'transfer-encoding': _encoding, ...kept } = headers;
  return wholeOf({ ...answer, headers: kept }, name);
}
