/** What stands between the page and the service: limits, methods that do not get through, refusals that pass. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { digestOfUrl } from '../harness/make-file.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { openPlainProxy } from '../harness/plain-proxy.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { head } from '../harness/tus.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, file, press, removeFiles, startOwn, untilStatus, upload } from './support.ts';

const MIB = 1024 * 1024;

/** The uploads' addresses to which the page has sent requests of this method so far. */
function sentWith(page: Page, method: string): string[] {
  const urls: string[] = [];
  page.on('request', (request) => {
    if (request.method() === method && request.url().includes('/uploads')) urls.push(request.url());
  });
  return urls;
}

describeInBrowser('proxies', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());
  // A name that is taken would be asked about.
  beforeEach(() => removeFiles(service));

  test.each([
    ['500', [500]],
    ['425 and 520 to 530', [425, 520, 523, 526, 530, 502]],
  ])('%s: waited out, whichever request of an upload it is', async (_, statuses) => {
    // Of each kind of request the first one is refused.
    const met = new Set<string>();
    const proxy = await openPlainProxy({
      toPort: service.port,
      passesHost: true,
      refuse: ({ method = '', url = '' }) => {
        const [kind] = /^\/(?:check|uploads|api\/files\/(?=[^?/]+$))/.exec(url) ?? [];
        if (kind === undefined || met.has(`${method} ${kind}`)) return undefined;
        met.add(`${method} ${kind}`);
        return statuses[met.size % statuses.length];
      },
    });
    const page = await openPage(proxy.url);
    const bytes = makeBytes(MIB, 740 + statuses.length);
    await choose(page, chosen('patient.bin', bytes));
    await untilStatus(
      page,
      'patient.bin',
      /^The service, or something in front of it, has trouble; it continues by itself/,
    );
    await untilStatus(page, 'patient.bin', /^Done, verified/);
    expect([...met].toSorted()).toEqual([
      'GET /api/files/',
      'GET /check',
      'HEAD /uploads',
      'OPTIONS /uploads',
      'PATCH /uploads',
      'POST /uploads',
    ]);
    expect(await digestOfUrl(`${service.url}/files/${md5(bytes)}`)).toMatchObject({ md5: md5(bytes) });
  });

  test('bytes that the service has lost are not asked for again and again', async () => {
    const page = await openPage(service.url);
    await page.route('**/check?*', (route) =>
      route.fulfill({ status: 500, json: { error: { code: 'content_damaged', message: 'Its bytes are damaged.' } } }),
    );
    await choose(page, chosen('lost.bin', makeBytes(1_000, 730)));
    await untilStatus(page, 'lost.bin', /^The stored file is damaged/);
  });

  test('the limit of the service itself is still told as such', async () => {
    const small = await startOwn({ env: { MAX_FILE_SIZE: '1MiB' } });
    const page = await openPage(small.url);
    await choose(page, chosen('fat.bin', makeBytes(2 * MIB, 732)));
    await untilStatus(page, 'fat.bin', /^Too large: files of at most 1\.0 MiB/);
  });

  test.each([
    ['PATCH', 405],
    ['PATCH', 501],
    ['HEAD', 405],
    ['HEAD', 501],
  ])('what answers %s with %i is gone around by POST, and that is learned once', async (shut, status) => {
    const asked: string[] = [];
    const proxy = await openPlainProxy({
      toPort: service.port,
      passesHost: true,
      refuse: ({ method = '', url = '', headers }) => {
        if (!url.startsWith('/uploads/')) return undefined;
        const meant = headers['x-http-method-override'];
        asked.push(meant === undefined ? method : `${method} for ${String(meant)}`);
        if (method === shut) return status;
        // The first bytes break off, so that HEAD is asked where to resume.
        return shut === 'HEAD' && asked.length === 1 ? 503 : undefined;
      },
    });
    const page = await openPage(proxy.url);
    const bytes = makeBytes(2 * MIB, 733 + status + shut.length);
    await choose(page, chosen('around.bin', bytes));
    await untilStatus(page, 'around.bin', /^Done, verified/);
    expect(asked).toEqual(
      shut === 'PATCH' ? ['PATCH', 'POST for PATCH'] : ['PATCH', 'HEAD', 'POST for HEAD', 'POST for PATCH'],
    );
    expect(await digestOfUrl(`${service.url}/files/${md5(bytes)}`)).toMatchObject({ md5: md5(bytes) });
    // The next one is not begun by what does not get through.
    await choose(page, chosen('the next.bin', makeBytes(MIB, 736 + status + shut.length)));
    await untilStatus(page, 'the next.bin', /^Done, verified/);
    expect(asked.at(-1)).toBe('POST for PATCH');
    expect(asked.filter((each) => each === shut)).toHaveLength(1);
  });

  test('a cache that asks for a HEAD by GET, and without Tus-Resumable, still tells the offset', async () => {
    let patches = 0;
    const proxy = await openPlainProxy({
      toPort: service.port,
      passesHost: true,
      asksByGet: true,
      refuse: ({ method }) => (method === 'PATCH' && ++patches === 1 ? 503 : undefined),
    });
    const page = await openPage(proxy.url);
    const created = sentWith(page, 'POST');
    const asked = sentWith(page, 'HEAD');
    await choose(page, chosen('cached.bin', makeBytes(MIB, 739)));
    await untilStatus(page, 'cached.bin', /^Done, verified/);
    expect([created.length, asked.length, patches]).toEqual([1, 1, 2]);
  });

  test('an upload is ended by POST, where DELETE does not get through', async () => {
    const proxy = await openPlainProxy({
      toPort: service.port,
      passesHost: true,
      refuse: ({ method = '' }) => (method === 'DELETE' ? 405 : method === 'PATCH' ? 503 : undefined),
    });
    const page = await openPage(proxy.url);
    const created = page.waitForResponse((answer) => answer.request().method() === 'POST' && answer.status() === 201);
    await choose(page, chosen('given up.bin', makeBytes(MIB, 737)));
    const address = (await (await created).headerValue('location')) ?? '';
    await untilStatus(page, 'given up.bin', /continues by itself/);
    await press(page, 'given up.bin', /^Cancel/);
    await expect.poll(async () => (await head(`${service.url}${new URL(address).pathname}`)).status).toBe(410);
    expect(await upload(page, 'given up.bin').count()).toBe(0);
  });

  test('behind a proxy that passes another Host, the page is there and says what to set', async () => {
    const strict = await startOwn();
    const proxy = await openPlainProxy({ toPort: strict.port });
    const page = await openPage(proxy.url);
    await page.getByText('Nothing here yet').waitFor();
    await choose(page, chosen('stranger.bin', makeBytes(1_000, 738)));
    await untilStatus(
      page,
      'stranger.bin',
      /^The service does not know this page by its address\..*PUBLIC_URL or TRUST_PROXY behind a proxy/,
    );
    await strict.restart({ PUBLIC_URL: proxy.url, AUTH: 'off' });
    await press(page, 'stranger.bin', /^Try again/);
    await untilStatus(page, 'stranger.bin', /^Done, verified/);
    await file(page, 'stranger.bin').waitFor();
  });
});
