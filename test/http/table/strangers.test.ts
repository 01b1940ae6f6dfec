/**
 * What an asker learns of things of other owners: byte for byte what it learns of things that do not exist, from every route,
 * whole answers compared.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { send } from '../../harness/tus.ts';
import { ask, wholeOf } from './ask.ts';
import { ANNA, BERT } from './askers.ts';
import { type Route, rows } from './routes.ts';
import { makeNamed, makeThing, nothing, type Thing } from './things.ts';

describe.each(['owner', 'off', 'all'])('INSTANT=%s', (INSTANT) => {
  let service: RunningService;
  /** What requests are about that make nothing. */
  let kept: Thing;
  let other: Thing;
  beforeAll(async () => {
    service = await startService({
      env: {
        AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2',
        DIGESTS: 'md5,sha1',
        TRASH_TTL: '7d',
        INSTANT,
        LOG_LEVEL: 'warn',
      },
    });
    [kept, other] = [await haveDigested(await makeThing(service.url, ANNA)), await makeThing(service.url, ANNA)];
  });
  afterAll(() => service.stop());

  async function haveDigested(thing: Thing): Promise<Thing> {
    // Its SHA-1 and SHA-256 are there from now on; of what is new they cannot be.
    await send('GET', `${service.url}/file/meta?filehash=${thing.sha1}`, { headers: ANNA });
    await send('GET', `${service.url}/check?md5=${thing.md5}&sha256=${thing.sha256}`, { headers: ANNA });
    return thing;
  }

  // Elsewhere nothing looks for bytes that are here already.
  const isInstant = ({ path, method, names }: Route): boolean =>
    path === '/check' || (names !== true && method !== 'GET' && method !== 'HEAD');
  const asked = rows((route) => route.bySecret === undefined && (INSTANT === 'owner' || isInstant(route)));

  test.each(asked)('%s by a stranger: as if it did not exist', async (_, route) => {
    // Once a stranger has sent its bytes, the stranger has them, too.
    const makes = route.names !== true && route.method !== 'GET';
    const thing = makes ? await haveDigested(await makeNamed(service.url, ANNA, (named) => route.ask(named))) : kept;
    const [theirs, nobodys] = [thing, nothing()].map(async (about) => {
      const { headers, ...rest } = route.ask(about);
      const answer = await ask(service.url, { method: route.method, ...rest, headers: { ...headers, ...BERT } });
      return wholeOf(answer, about.name);
    });
    expect(await theirs).toEqual(await nobodys);
  });

  test.each(rows(({ path }) => INSTANT === 'owner' && path === '/s/:secret/uploads/:id'))(
    '%s by another link: as if it did not exist',
    async (_, route) => {
      const [thing, { requestSecret }] = [kept, other];
      const [theirs, nobodys] = [thing, nothing()].map(async ({ sentId, name }) => {
        const request = route.ask({ ...thing, requestSecret, sentId });
        return wholeOf(await ask(service.url, { method: route.method, ...request }), name);
      });
      expect(await theirs).toEqual(await nobodys);
      expect(JSON.stringify(await theirs)).toContain('404');
      // Nor by the id alone, nor by the link for downloads.
      for (const path of [`/uploads/${thing.sentId}`, `/s/${thing.linkSecret}/uploads/${thing.sentId}`]) {
        const { headers = {}, ...rest } = route.ask(thing);
        const answer = await ask(service.url, {
          ...rest,
          method: route.method,
          path,
          headers: { ...headers, ...BERT },
        });
        expect(answer.status).toBe(404);
      }
    },
  );
});
