/** Limits of what stands in front of the service: requests become smaller, and nothing is sent again that is stored. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isHere } from '../harness/needs.ts';
import { bufferingCache, NGINX, NGINX_MISSING, startNginx } from '../harness/nginx.ts';
import { openPlainProxy } from '../harness/plain-proxy.ts';
import { startService, type RunningService } from '../harness/service.ts';
import { type Interception, makeClient, makeInterceptor, makeLine, MIB, until } from './support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** Something in front of the service that refuses large bodies. @returns its address, and the sizes of the bodies. */
async function startLimited(most: number, answer: Interception = { status: 413 }) {
  const sizes: number[] = [];
  const url = await makeInterceptor(service.url, ({ method, headers }) => {
    if (method !== 'PATCH' && method !== 'POST') return null;
    const size = Number(headers['content-length'] ?? 0);
    if (size > 0) sizes.push(size);
    return size > most ? answer : null;
  });
  return { url, sizes };
}

test('413 from a proxy makes requests smaller, and a later run begins with that size', async () => {
  // Not the service's own, though it looks like it.
  const body = { error: { code: 413, message: 'Payload too large' } };
  const { url, sizes } = await startLimited(600_000, { status: 413, body });
  const client = await makeClient(url);
  const first = await client.run(['upload', '--json', '--retry-for', '0', await client.makeFile('first.bin', 3 * MIB)]);
  expect(first.records()).toMatchObject([{ status: 'uploaded', size: 3 * MIB }]);
  expect(first.stderr).toContain('accepts no request of 3.0 MiB; sending at most 1.0 MiB at once');
  expect(first.stderr).toContain('sending at most 512 KiB at once from now on, as with --chunk-size');
  expect(sizes.slice(0, 3)).toEqual([3 * MIB, MIB, 512 * 1024]);
  expect(sizes.slice(2).reduce((sum, size) => sum + size)).toBe(3 * MIB);
  sizes.length = 0;
  const second = await client.run(['upload', '--json', await client.makeFile('second.bin', MIB)]);
  expect(second.records()).toMatchObject([{ status: 'uploaded', sentBytes: MIB }]);
  expect(sizes).toEqual([512 * 1024, 512 * 1024]);
  // Another service, or another way to it.
  const { url: elsewhere, sizes: others } = await startLimited(Infinity);
  await client.run(['upload', await client.makeFile('third.bin', MIB)], { TIDEMARK_SERVER: elsewhere });
  expect(others).toEqual([MIB]);
});

test('where no size gets through, none is remembered', async () => {
  let most = 0;
  const sizes: number[] = [];
  const url = await makeInterceptor(service.url, ({ method, headers }) => {
    if (method !== 'PATCH') return null;
    sizes.push(Number(headers['content-length'] ?? 0));
    return Number(headers['content-length'] ?? 0) > most ? { status: 413 } : null;
  });
  const client = await makeClient(url);
  const path = await client.makeFile('shut.bin', MIB);
  const shut = await client.run(['upload', path]);
  expect([shut.exitCode, shut.stderr]).toEqual([1, expect.stringContaining('--chunk-size')]);
  expect(sizes).toEqual([MIB, 512 * 1024, 128 * 1024, 64 * 1024]);
  most = Infinity;
  expect(await client.run(['upload', path])).toMatchObject({ exitCode: 0 });
  expect(sizes.at(-1)).toBe(MIB);
});

test('a small file whose creation is refused with its bytes, and standard input', async () => {
  const { url, sizes } = await startLimited(100_000);
  const client = await makeClient(url);
  const small = await client.run(['upload', '--json', await client.makeFile('small.bin', 200_000)]);
  expect(small.records()).toMatchObject([{ status: 'uploaded', size: 200_000 }]);
  expect(Math.max(...sizes.slice(2))).toBe(64 * 1024);
  const other = await makeClient((await startLimited(1_100_000)).url);
  const run = other.start(['upload', '-', '--name', 'piped.bin', '--json'], { stdinOpen: true });
  run.stdin.end(Buffer.alloc(9 * MIB + 5, 'y'));
  expect((await run.done).records()).toMatchObject([{ status: 'uploaded', size: 9 * MIB + 5 }]);
});

test('the service’s own limit is told as such, and no smaller request is tried', async () => {
  const small = await startService({ env: { MAX_FILE_SIZE: '1MiB' } });
  try {
    const client = await makeClient(small.url);
    const result = await client.run(['upload', '--json', await client.makeFile('fat.bin', 2 * MIB)]);
    expect(result.records()).toMatchObject([{ status: 'failed', error: { code: 'too_large' } }]);
  } finally {
    await small.stop();
  }
});

test('a cache that asks for a HEAD by GET, and without Tus-Resumable, still tells the offset', async () => {
  const seen: string[] = [];
  const proxy = await openPlainProxy({
    toPort: service.port,
    passesHost: true,
    asksByGet: true,
    refuse: ({ method = '', url = '' }) => {
      if (url.startsWith('/uploads')) seen.push(method);
      return method === 'PATCH' && seen.filter((each) => each === 'PATCH').length === 2 ? 503 : undefined;
    },
  });
  const client = await makeClient(proxy.url);
  const path = await client.makeFile('cached.bin', 3 * MIB);
  const result = await client.run(['upload', '--json', '--chunk-size', '1MiB', path]);
  expect(result.records()).toMatchObject([{ status: 'uploaded', size: 3 * MIB }]);
  expect(seen).toEqual(['POST', 'PATCH', 'PATCH', 'HEAD', 'PATCH', 'PATCH']);
});

describe.skipIf(!isHere(NGINX !== undefined, NGINX_MISSING))('nginx as it comes, with its cache', () => {
  test('50 MiB, killed in its middle, and then cut', { timeout: 60_000 }, async () => {
    const behind = await makeLine(service.port);
    const nginx = await startNginx(bufferingCache(behind.port));
    try {
      const line = await makeLine(nginx.plainPort, 24 * MIB);
      const client = await makeClient(line.url);
      const path = await client.makeFile('fifty.bin', 50 * MIB);
      const first = client.start(['upload', path]);
      await until(() => behind.sentBytes() > 12 * MIB);
      first.signal('SIGKILL');
      await first.done;
      const again = client.start(['upload', '--json', path]);
      await until(() => behind.sentBytes() > 30 * MIB);
      line.cut();
      const result = await again.done;
      expect(result.exitCode, result.stderr).toBe(0);
      const [record] = result.records();
      expect(record).toMatchObject({ status: 'uploaded', size: 50 * MIB });
      expect(record?.resumedFrom).toBeGreaterThan(10 * MIB);
      // What was stored is not sent again: at most the request that was cut.
      expect(record?.sentBytes).toBeLessThan(50 * MIB - (record?.resumedFrom ?? 0) + 2 * MIB);
    } finally {
      await nginx.stop();
    }
  });
});
