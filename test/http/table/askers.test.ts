/** Every route with every kind of asker: who is served, who is refused and how, and that what is refused has not happened. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { type Answer, send, TUS } from '../../harness/tus.ts';
import { json } from '../support.ts';
import { ask, bare, wholeOf } from './ask.ts';
import { ANNA, type Asker, ASKERS, BERT, type Known, SERVICES, type ServiceName } from './askers.ts';
import { type Route, ROUTES, rows, titleOf } from './routes.ts';
import { HALF, makeNamed, makeThing, type Thing } from './things.ts';

interface Asked extends Known {
  service: RunningService;
  owner: Record<string, string>;
  /** What requests are about that are to be refused, or change nothing of it. */
  kept: Thing;
}

const asked = new Map<ServiceName, Asked>();

beforeAll(async () => {
  const entries = Object.entries(SERVICES) as [ServiceName, (typeof SERVICES)[ServiceName]][];
  for (const [name, { env, owner }] of entries) {
    const service = await startService({ env });
    const tickets = { anna: await ticketOf(service, ANNA), bert: await ticketOf(service, BERT) };
    asked.set(name, { service, url: service.url, owner, tickets, kept: await makeThing(service.url, owner) });
  }
});
afterAll(() => Promise.all([...asked.values()].map(({ service }) => service.stop())));

async function ticketOf(service: RunningService, headers: Record<string, string>): Promise<string> {
  const answer = await send('POST', `${service.url}/api/ticket`, { headers });
  return (answer.headers['set-cookie']?.[0] ?? '').split(';', 1)[0] ?? '';
}

/** Whether another thing is there afterwards, or another owner has its bytes. */
function changes({ method, bytesOfFile }: Route): boolean {
  return method !== 'GET' && method !== 'HEAD' && bytesOfFile !== true;
}

/** Fails unless a thing is as it was made. */
async function expectKept({ url, owner }: Asked, { fileId, name, openId }: Thing): Promise<void> {
  const file = await send('GET', `${url}/api/files/${fileId}`, { headers: owner });
  expect([file.status, json(file)['name']]).toEqual([200, name]);
  const open = await send('HEAD', `${url}/uploads/${openId}`, { headers: { ...TUS, ...owner } });
  expect([open.status, open.headers['upload-offset']]).toEqual([200, String(HALF)]);
}

function serviceOf(name: ServiceName): Asked {
  const on = asked.get(name);
  if (!on) throw new Error(`${name} does not run`);
  return on;
}

/** Asks about a thing, as such an asker does. */
function askAs(asker: Asker, on: Asked, route: Route, thing: Thing): Promise<Answer> {
  const { headers, path, ...rest } = route.ask(thing);
  const query = asker.query === undefined ? '' : `${path.includes('?') ? '&' : '?'}${asker.query}`;
  return ask(on.url, {
    ...rest,
    method: route.method,
    path: path + query,
    headers: { ...headers, ...asker.headers(on) },
  });
}

describe.each(ASKERS.map((asker) => [`${asker.service}, asked by ${asker.title}`, asker] as const))(
  '%s',
  (_, asker) => {
    const routes = ROUTES.filter((_route, at) => asker.asks?.(at) !== false);
    const served = routes.filter((route) => asker.gets(route) === 'served');
    const refused = routes.flatMap((route) => {
      const gets = asker.gets(route);
      return gets === 'served' ? [] : [{ route, gets }];
    });

    test.each(served.length > 0 ? [served.length] : [])('serves %i routes', async () => {
      const on = serviceOf(asker.service);
      const wrong: string[] = [];
      for (const route of served) {
        const thing = changes(route) ? await makeNamed(on.url, on.owner, (named) => route.ask(named)) : on.kept;
        const { status, body } = await askAs(asker, on, route, thing);
        if (status !== route.status) wrong.push(`${titleOf(route)}: ${status}, not ${route.status}: ${body}`);
      }
      expect(wrong).toEqual([]);
    });

    test.each(refused.length > 0 ? [refused.length] : [])('refuses %i routes, and does nothing', async () => {
      const on = serviceOf(asker.service);
      const wrong: string[] = [];
      for (const { route, gets } of refused) {
        const { status, code, body, headers } = await askAs(asker, on, route, on.kept);
        // Answers to HEAD have no code.
        const got = `${status} ${route.method === 'HEAD' ? gets[1] : code}`;
        if (got !== gets.join(' ')) wrong.push(`${titleOf(route)}: ${got}, not ${gets.join(' ')}: ${body}`);
        const scheme = headers['www-authenticate'] ?? 'none';
        if (status === 401 && !scheme.startsWith('Bearer ')) wrong.push(`${titleOf(route)}: the scheme is ${scheme}`);
      }
      expect(wrong).toEqual([]);
      await expectKept(on, on.kept);
    });
  },
);

/**
 * An answer but for what is of one connection alone, and for a SHA-1: about a file it is there or not yet, as a busy service computes
 * it after publication.
 */
function steady(answer: Answer): Answer {
  const { headers, body, ...rest } = bare(answer);
  if (!/"(?:md5|FileMd5)":/.test(body)) return { headers, body, ...rest };
  const { 'content-length': _length, ...others } = headers;
  return { ...rest, headers: others, body: body.replaceAll(/"(?:sha1|FileSha1)":"(?:[0-9a-f]{40})?",/g, '') };
}

describe('what no proxy was asked to say changes nothing of', () => {
  const said = {
    Forwarded: 'for=10.0.0.1;host=evil.example;proto=https',
    'X-Forwarded-For': '10.0.0.1',
    'X-Forwarded-Host': 'evil.example',
    'X-Forwarded-Port': '8443',
    'X-Forwarded-Prefix': '/evil',
    'X-Forwarded-Proto': 'https',
    'X-Original-URL': '/healthz',
    'X-Rewrite-URL': '/healthz',
  };

  test.each(rows())('%s', async (_, route) => {
    const on = serviceOf('a service with tokens');
    const wholes: unknown[] = [];
    // New, and so that bytes of it came lately.
    const make = (): Promise<Thing> => makeNamed(on.url, ANNA, (named) => route.ask(named));
    const first = await make();
    for (const more of [{}, said]) {
      const thing = wholes.length > 0 && changes(route) ? await make() : first;
      const { headers, ...rest } = route.ask(thing);
      const all = { ...headers, ...ANNA, ...more };
      const answer = await ask(on.url, { method: route.method, ...rest, headers: all });
      wholes.push(wholeOf(steady(answer), thing.name));
    }
    expect(wholes[1]).toEqual(wholes[0]);
  });
});

describe('no other spelling of its path opens', () => {
  // Rows that have path and method in common differ in what nobody looks at before it knows who asks.
  const one = (route: Route): boolean =>
    route === ROUTES.find(({ method, path }) => method === route.method && path === route.path);

  test.each(rows((route) => route.askers === 'owner' && one(route)))('%s', async (_, route) => {
    const on = serviceOf('a service with tokens');
    const { headers = {}, path, ...rest } = route.ask(on.kept);
    const [pathname = '', query = ''] = path.split('?');
    for (const spelling of [pathname.toUpperCase(), `${pathname}/`, `/${pathname}`, `/.${pathname}`, `${pathname};x`]) {
      const respelt = `${spelling}${query === '' ? '' : `?${query}`}`;
      // A ticket opens nothing but bytes.
      for (const who of route.bytesOfFile === true ? [{}, { Cookie: on.tickets.bert }] : [{}]) {
        const answer = await send(route.method, on.url, {
          rawPath: respelt,
          headers: { ...headers, ...who },
          ...(rest.body === undefined ? {} : { body: rest.body }),
        });
        expect([401, 404], respelt).toContain(answer.status);
      }
    }
    await expectKept(on, on.kept);
  });
});
