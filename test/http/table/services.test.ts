/** Every route where its group is served and where it is not (`SERVICES`). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { send, TUS } from '../../harness/tus.ts';
import { ask } from './ask.ts';
import type { Route } from './route.ts';
import { rows } from './routes.ts';
import { nothing } from './things.ts';

/** Each group is served by others of these: where a route answers tells its group. */
const NODES: readonly (readonly string[])[] = [
  ['uploads', 'files', 'page', 'worker'],
  ['uploads', 'api', 'worker'],
  ['files', 'api', 'worker'],
  ['worker'],
];

let nodes: { groups: readonly string[]; service: RunningService }[];
beforeAll(async () => {
  nodes = await Promise.all(
    NODES.map(async (groups) => ({ groups, service: await startService({ env: { SERVICES: groups.join(',') } }) })),
  );
});
afterAll(() => Promise.all(nodes.map(({ service }) => service.stop())));

function isServed({ group }: Route, groups: readonly string[]): boolean {
  return group === null || groups.includes(group);
}

// HEAD of an upload that is not there is 404 as well, without a body that says why: its group shows by the other methods.
test.each(rows(({ method }) => method !== 'HEAD'))(
  '%s answers where its group is served, and nowhere else',
  async (_, route) => {
    for (const { groups, service } of nodes) {
      const { code, status } = await ask(service.url, { method: route.method, ...route.ask(nothing()) });
      const got = code === 'not_served_here' ? `${status} ${code}` : 'an answer';
      expect(got, groups.join()).toBe(isServed(route, groups) ? 'an answer' : '404 not_served_here');
    }
  },
);

test('a method that a path does not have is 405 with those that are served; a path of no group is not found', async () => {
  const [page, , , worker] = nodes;
  const put = await send('PUT', `${page?.service.url}/file/upload`);
  expect([put.status, put.headers.allow]).toEqual([405, 'POST, HEAD, GET, OPTIONS']);
  expect((await send('PUT', `${worker?.service.url}/file/upload`)).code).toBe('not_served_here');
  expect((await send('GET', `${worker?.service.url}/nowhere`)).code).toBe('not_found');
});

test("a tus client is refused in the protocol's way", async () => {
  const elsewhere = nodes[2]?.service.url;
  const headers = { ...TUS, 'Upload-Length': '1' };
  for (const [method, path] of [
    ['POST', '/uploads'],
    ['HEAD', '/uploads/x'],
    ['OPTIONS', '/uploads'],
  ] as const) {
    const answer = await send(method, elsewhere + path, { headers });
    expect([answer.status, answer.headers['tus-resumable']]).toEqual([404, '1.0.0']);
  }
});
