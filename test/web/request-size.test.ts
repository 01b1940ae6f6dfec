/** Limits of what stands in front of the service: the page sends smaller requests, and remembers how small. */
import { describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { digestOfUrl } from '../harness/make-file.ts';
import { isHere } from '../harness/needs.ts';
import { bufferingCache, NGINX, NGINX_MISSING, startNginx } from '../harness/nginx.ts';
import { openPlainProxy } from '../harness/plain-proxy.ts';
import { openLine } from '../harness/proxy.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import { choose, chosen, makeFile, press, sentFrom, startOwn, untilStatus } from './support.ts';

const MIB = 1024 * 1024;

describeInBrowser('request sizes', () => {
  test('a limit of a proxy is learned once, and kept over a reload; what lets nothing through is told of', async () => {
    const service = await startOwn();
    let limit = 600_000;
    const sizes: number[] = [];
    const proxy = await openPlainProxy({
      toPort: service.port,
      passesHost: true,
      refuse: ({ method, headers }) => {
        const size = Number(headers['content-length'] ?? 0);
        if (method === 'PATCH') sizes.push(size);
        return size > limit ? 413 : undefined;
      },
    });
    const page = await openPage(proxy.url);
    const bytes = makeBytes(3 * MIB, 750);
    await choose(page, chosen('wide.bin', bytes));
    await untilStatus(page, 'wide.bin', /^Done, verified/);
    expect(sizes).toEqual([3 * MIB, MIB, ...Array.from({ length: 6 }, () => 512 * 1024)]);
    expect(await digestOfUrl(`${service.url}/files/${md5(bytes)}`)).toMatchObject({ md5: md5(bytes) });

    sizes.length = 0;
    await page.reload();
    await choose(page, chosen('next.bin', makeBytes(MIB, 751)));
    await untilStatus(page, 'next.bin', /^Done, verified/);
    expect(sizes).toEqual([512 * 1024, 512 * 1024]);

    limit = 10_000;
    await choose(page, chosen('shut.bin', makeBytes(MIB, 752)));
    await untilStatus(page, 'shut.bin', /^Something in front of the service .* \(nginx: client_max_body_size 0\)/);
    expect(sizes.slice(2)).toEqual([512 * 1024, 128 * 1024, 64 * 1024]);
    await page.getByRole('button', { name: '中文' }).click();
    await untilStatus(page, 'shut.bin', /代理不接受这么大的请求.*client_max_body_size 0/);
    limit = Infinity;
    await press(page, 'shut.bin', /^重试/);
    await untilStatus(page, 'shut.bin', /^已完成/);
    // No size got through, so none is remembered.
    expect(sizes.at(-1)).toBe(MIB);
  });

  describe.skipIf(!isHere(NGINX !== undefined, NGINX_MISSING))('nginx as it comes, with its cache', () => {
    test('50 MiB, cut in their middle', { timeout: 120_000 }, async () => {
      const service = await startOwn();
      const behind = await openLine({ toPort: service.port });
      const nginx = await startNginx(bufferingCache(behind.port));
      const line = await openLine({ toPort: nginx.plainPort, bytesPerSecond: 40 * MIB });
      try {
        const big = await makeFile('fifty.bin', 50 * MIB);
        const page = await openPage(line.url);
        const offsets = sentFrom(page);
        await choose(page, big.path);
        await expect.poll(() => behind.sentBytes(), { timeout: 60_000, interval: 5 }).toBeGreaterThan(20 * MIB);
        line.cut();
        await untilStatus(page, 'fifty.bin', /^Done, verified/, 60_000);
        expect(await digestOfUrl(`${service.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5 });
        // Nothing that was stored is sent again: offsets only grow, and the request that was cut is repeated.
        expect(offsets).toEqual(offsets.toSorted((one, other) => one - other));
        expect(behind.sentBytes()).toBeLessThan(53 * MIB);
      } finally {
        await line.close();
        await nginx.stop();
        await behind.close();
      }
    });
  });
});
