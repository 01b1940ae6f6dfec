/** Every route with every kind of asker: who is served, who is refused and how, and that what is refused has not happened. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { type Answer, send, TUS } from '../../harness/tus.ts';
import { json } from '../support.ts';
import { ask, wholeOf } from './ask.ts';
import { ANNA, ASKERS, BERT, type Known, SERVICES, type ServiceName } from './askers.ts';
import { type Route, rows } from './routes.ts';
import { HALF, makeThing, type Thing } from './things.ts';

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

describe.each(ASKERS.map((asker) => [`${asker.service}, asked by ${asker.title}`, asker] as const))(
  '%s',
  (_, asker) => {
    test.each(
      rows().map(([title, route]) => {
        const gets = asker.gets(route);
        return [
          title,
          gets === 'served' ? `is served (${route.status})` : `is refused (${gets.join(' ')})`,
          route,
        ] as const;
      }),
    )('%s %s', async (_title, _outcome, route) => {
      const on = asked.get(asker.service);
      if (!on) throw new Error(`${asker.service} does not run`);
      const gets = asker.gets(route);
      const thing = gets === 'served' && changes(route) ? await makeThing(on.url, on.owner) : on.kept;
      const { headers, path, ...rest } = route.ask(thing);
      const query = asker.query === undefined ? '' : `${path.includes('?') ? '&' : '?'}${asker.query}`;
      const answer = await ask(on.url, {
        ...rest,
        method: route.method,
        path: path + query,
        headers: { ...headers, ...asker.headers(on) },
      });
      if (gets === 'served') {
        expect(answer.status, answer.body).toBe(route.status);
        return;
      }
      const [status, code] = gets;
      expect(answer.status, answer.body).toBe(status);
      if (route.method !== 'HEAD') expect(answer.code).toBe(code);
      if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer /);
      await expectKept(on, thing);
    });
  },
);

/** An answer about a file has its SHA-1 or not yet: where the service is busy, that is computed after publication. */
function withoutSha1(answer: Answer): Answer {
  const body = answer.body.replaceAll(/"sha1":"[0-9a-f]{40}",/g, '');
  if (body === answer.body && !body.includes('"md5":')) return answer;
  const { 'content-length': _length, ...headers } = answer.headers;
  return { ...answer, headers, body };
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
    const on = asked.get('a service with tokens');
    if (!on) throw new Error('it does not run');
    const wholes: unknown[] = [];
    // New, and so that bytes of it came lately.
    const first = await makeThing(on.url, ANNA);
    for (const more of [{}, said]) {
      const thing = wholes.length > 0 && changes(route) ? await makeThing(on.url, ANNA) : first;
      const { headers, ...rest } = route.ask(thing);
      const all = { ...headers, ...ANNA, ...more };
      const answer = await ask(on.url, { method: route.method, ...rest, headers: all });
      wholes.push(wholeOf(withoutSha1(answer), thing.name));
    }
    expect(wholes[1]).toEqual(wholes[0]);
  });
});

describe('no other spelling of its path opens', () => {
  test.each(rows(({ askers }) => askers === 'owner'))('%s', async (_, route) => {
    const on = asked.get('a service with tokens');
    if (!on) throw new Error('it does not run');
    const { headers = {}, path, ...rest } = route.ask(on.kept);
    const [pathname = '', query = ''] = path.split('?');
    for (const spelling of [pathname.toUpperCase(), `${pathname}/`, `/${pathname}`, `/.${pathname}`, `${pathname};x`]) {
      const respelt = `${spelling}${query === '' ? '' : `?${query}`}`;
      for (const who of [{}, { Cookie: on.tickets.bert }]) {
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
