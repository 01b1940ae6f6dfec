/** INSTANT=all: the page proves to have a file that another owner has sent. */
import { expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { bearer, putFile } from '../http/support.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, startOwn, untilStatus } from './support.ts';

const SECRET = 'berts-secret-2';
const MIB = 1024 * 1024;

describeInBrowser('files that others have', () => {
  test('are instant for who has them; what nobody has is sent', async () => {
    const service = await startOwn({ env: { AUTH_TOKENS: `anna:annas-secret-1, bert:${SECRET}`, INSTANT: 'all' } });
    const bytes = makeBytes(5 * MIB, 6_701);
    await putFile(service.url, bytes, { filename: 'annas.bin' }, bearer('annas-secret-1'));
    const page = await openPage(service.url);
    await page.getByLabel('Token', { exact: true }).fill(SECRET);
    await page.getByRole('button', { name: 'Use it' }).click();
    const requests: string[] = [];
    page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      // Which names are taken is asked first.
      if (request.method() === 'POST' && pathname !== '/api/names/taken') requests.push(pathname);
    });
    await choose(page, chosen('theirs.bin', bytes));
    await untilStatus(page, 'theirs.bin', /^Instant/);
    expect(requests).toEqual(['/check']);
    await choose(page, chosen('new.bin', makeBytes(3 * MIB, 6_702)));
    await untilStatus(page, 'new.bin', /^Done, verified/);
    expect(requests).toEqual(['/check', '/check', '/uploads']);
  });
});
