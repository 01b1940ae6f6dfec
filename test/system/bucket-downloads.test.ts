/** Downloads of a service whose bytes live in a bucket: through the service, and from the bucket itself. */
import { readFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../harness/cli.ts';
import { bearer, putFile, type Stored } from '../http/support.ts';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { send } from '../harness/tus.ts';
import { expectBytes, until } from './support.ts';

// This process follows redirects to the double of OSS.
await import(RESOLVE_HERE);

const MIB = 1024 * 1024;
const SIZE = 6 * MIB;
const bytes = makeBytes(SIZE, 91);
const TOKEN = 'the-token-of-alice';
const ALICE = bearer(TOKEN);

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

describe.each(BUCKETS)('downloads from a bucket of $name', ({ name: provider, missing, start }) => {
  describe.skipIf(missing !== undefined)('arrive', () => {
    let bucket: SystemBucket;
    let proxy: FaultProxy;
    let service: RunningService;
    let file: Stored;
    let seen = 0;

    /** What the bucket was asked since the last time. */
    function newReads() {
      const calls = proxy.calls();
      return calls.slice(seen, (seen = calls.length)).filter((call) => call.operation === 'GetObject');
    }

    function openDownload(): Promise<IncomingMessage> {
      return new Promise((resolve, reject) => {
        get(file.url, { agent: false, headers: ALICE }, resolve).on('error', reject);
      });
    }

    beforeAll(async () => {
      bucket = await start();
      proxy = await startFaultProxy({ toPort: bucket.port });
      service = await startService({
        env: {
          ...bucket.env(proxy.port),
          AUTH_TOKENS: `alice:${TOKEN},bob:the-token-of-bob`,
          LOG_LEVEL: 'trace',
        },
      });
      file = await putFile(service.url, bytes, { filename: 'Größe "名".bin' }, ALICE);
      // The start read the mark of the catalog.
      newReads();
    });
    afterEach(() => {
      proxy.clear();
      newReads();
    });
    afterAll(async () => {
      await service.stop();
      await proxy.stop();
      await bucket.stop();
    });

    describe('through the service', () => {
      test('resume where the connection to the bucket broke', async () => {
        proxy.place({ operation: 'GetObject', times: 2, fault: { kind: 'cutAnswer', afterBytes: MIB } });
        const answer = await openDownload();
        expect((await buffer(answer)).equals(bytes)).toBe(true);
        expect(newReads()).toHaveLength(3);
      });

      test('are cut off where that does not help, so that no short body looks whole', async () => {
        proxy.place({ operation: 'GetObject', times: Infinity, fault: { kind: 'cutAnswer', afterBytes: 100_000 } });
        await expect(openDownload().then(buffer)).rejects.toMatchObject({ code: 'ECONNRESET' });
        await until('the log says why', () => service.output().includes('"code":"internal"'));
      });

      test('that their client leaves close their connection to the bucket', async () => {
        const answer = await openDownload();
        answer.on('error', () => undefined).destroy();
        await until('nothing is read any more', () => proxy.calls().every((call) => !call.isOpen));
        const stalled = proxy.place({ operation: 'GetObject', times: Infinity, fault: { kind: 'stall' } });
        const early = get(file.url, { agent: false, headers: ALICE }).on('error', () => undefined);
        await stalled.hit;
        early.destroy();
        await until('nothing is asked for any more', () => proxy.calls().every((call) => !call.isOpen));
        expect(newReads()).toHaveLength(2);
      });
    });

    describe('by redirect', () => {
      beforeAll(() => service.restart({ DOWNLOAD: 'redirect' }));

      test('the page may show what comes from there', async () => {
        const { headers } = await fetch(`${service.url}/`);
        const { origin } = new URL(await addressOf(file.url));
        expect(headers.get('content-security-policy')).toContain(`img-src 'self' ${origin} blob:;`);
      });

      async function addressOf(url: string, headers: Record<string, string> = ALICE): Promise<string> {
        const answer = await send('GET', url, { headers });
        expect(answer).toMatchObject({ status: 302, body: '', headers: { 'cache-control': 'no-store' } });
        return answer.headers.location ?? '';
      }

      test('a link for one download leads there once, and on where that broke off; so does the command', async () => {
        const share = async (): Promise<string> => {
          const made = await send('POST', `${service.url}/api/links`, {
            headers: { ...ALICE, 'Content-Type': 'application/json' },
            body: JSON.stringify({ files: [file.fileId], downloads: 1 }),
          });
          return (JSON.parse(made.body) as { url: string }).url;
        };
        const url = await share();
        const page = await fetch(url, { headers: { Accept: 'text/html' } });
        const first = await send('GET', `${url}/files/1`);
        expect(first).toMatchObject({ status: 302, headers: { 'cache-control': 'no-store' } });
        const { origin } = new URL(first.headers.location ?? '');
        expect(page.headers.get('content-security-policy')).toContain(`img-src 'self' ${origin};`);
        expect((await send('GET', `${url}/files/1`)).code).toBe('link_used_up');
        const [cookie = ''] = first.headers['set-cookie']?.[0]?.split(';', 1) ?? [];
        const again = await send('GET', `${url}/files/1`, { headers: { Cookie: cookie, Range: 'bytes=5-' } });
        expect(again.status).toBe(302);
        const rest = await fetch(again.headers.location ?? '', { headers: { Range: `bytes=${SIZE - 5}-` } });
        expect(Buffer.from(await rest.arrayBuffer()).equals(bytes.subarray(SIZE - 5))).toBe(true);

        proxy.place({ operation: 'GetObject', fault: { kind: 'cutAnswer', afterBytes: 2 * MIB } });
        const { NODE_OPTIONS } = bucket.env();
        const run = await runCli(['get', '--json', await share()], await makeTempFolder(), { NODE_OPTIONS }).done;
        expect(run.exitCode, run.stderr).toBe(0);
        expect(JSON.parse(run.stdout)).toMatchObject({ status: 'downloaded', receivedBytes: SIZE });
      });

      test('a small range comes from the service where it is asked for directly, as no script may read the bucket', async () => {
        const direct = `${file.url}?direct`;
        const part = await send('GET', direct, { headers: { ...ALICE, Range: 'bytes=100-109' } });
        expect(part).toMatchObject({ status: 206, headers: { 'content-range': `bytes 100-109/${SIZE}` } });
        expect(newReads()).toHaveLength(1);
        await addressOf(direct);
        await addressOf(direct, { ...ALICE, Range: `bytes=0-${MIB}` });
        await addressOf(file.url, { ...ALICE, Range: 'bytes=100-109' });
        expect(newReads()).toHaveLength(0);
      });

      test('are whole or a range, with name and type; the service itself answers the rest', async () => {
        const id = new URL(file.upload).pathname;
        const older = `${service.url}/file/download?filehash=${md5(bytes)}`;
        for (const url of [file.url, `${service.url}${id}`, older]) {
          const address = await addressOf(url);
          await expectBytes(address, bytes);
          const part = await fetch(address, { headers: { Range: 'bytes=100-109' } });
          expect(part.status).toBe(206);
          expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(100, 110))).toBe(true);
          expect(part.headers.get('content-type')).toBe('application/octet-stream');
          expect(part.headers.get('content-disposition')).toBe(
            `attachment; filename="Gr??e \\"?\\".bin"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%22%E5%90%8D%22.bin`,
          );
        }
        expect(newReads()).toHaveLength(6);
        const head = await send('HEAD', file.url, { headers: ALICE });
        expect(head).toMatchObject({ status: 200, headers: { 'content-length': String(SIZE) } });
        for (const [header, status] of [
          [{ 'If-None-Match': String(head.headers.etag) }, 304],
          [{ 'If-Match': '"another"' }, 412],
          [{ Range: `bytes=${SIZE}-` }, 416],
        ] as const) {
          expect((await send('GET', file.url, { headers: { ...ALICE, ...header } })).status).toBe(status);
        }
        expect(newReads()).toEqual([]);
      });

      test('show what cannot run script, and save the rest', async () => {
        // The double's host is OSS's own, where everything is saved, under a name only if it is asked for.
        const inline = provider === 'OSS' ? 'attachment' : 'inline';
        for (const [filename, filetype, query, expected] of [
          ['a.png', 'image/png', '', inline],
          ['a.png', 'image/png', '?download', 'attachment'],
          ['a.html', 'text/html', '', 'attachment'],
          ['a.svg', 'image/svg+xml', '', 'attachment'],
        ] as const) {
          const { url } = await putFile(service.url, filename + filetype, { filename, filetype }, ALICE);
          const { headers } = await fetch(await addressOf(url + query));
          expect(headers.get('content-type')).toBe(filetype);
          expect(headers.get('content-disposition')).toBe(`${expected}; filename="${filename}"`);
        }
      });

      test('go to those alone who may read', async () => {
        for (const [headers, status] of [
          [{}, 401],
          [bearer('the-token-of-bob'), 404],
        ] as const) {
          const answer = await send('GET', file.url, { headers });
          expect(answer.status).toBe(status);
          expect(answer.headers).not.toHaveProperty('location');
        }
      });

      test('serve the command line client, which keeps its token to itself', async () => {
        const folder = await makeTempFolder();
        const { NODE_OPTIONS } = bucket.env();
        const fault = { kind: 'cutAnswer', afterBytes: 2 * MIB } as const;
        const cut = proxy.place({ operation: 'GetObject', times: 2, fault });
        const run = runCli(['get', '--json', md5(bytes), '-o', 'copy.bin', '--server', service.url], folder, {
          TIDEMARK_TOKEN: TOKEN,
          NODE_OPTIONS,
        });
        const { exitCode, stdout, stderr } = await run.done;
        expect(stderr).toContain('MD5 verified');
        expect(exitCode).toBe(0);
        expect(cut.hits()).toBe(2);
        // Nothing came twice: each new request resumed by Range.
        expect(JSON.parse(stdout)).toMatchObject({ status: 'downloaded', receivedBytes: SIZE });
        expect(md5(await readFile(join(folder, 'copy.bin')))).toBe(md5(bytes));
        const reads = newReads();
        expect(reads).toHaveLength(3);
        expect(reads.map((call) => call.authorization)).toEqual([undefined, undefined, undefined]);

        // As large as two ranges of the command at least.
        const large = makeBytes(16 * MIB, 92);
        await putFile(service.url, large, { filename: 'large.bin' }, ALICE);
        newReads();
        const args = ['get', '--json', '--streams', '2', md5(large), '-o', 'by-ranges.bin', '--server', service.url];
        const ranged = await runCli(args, folder, { TIDEMARK_TOKEN: TOKEN, NODE_OPTIONS }).done;
        expect(JSON.parse(ranged.stdout)).toMatchObject({ status: 'downloaded', receivedBytes: large.length });
        expect(ranged.stderr).not.toContain('using one connection');
        // The first byte, and then a request for each of two parts.
        expect(newReads().map((call) => call.authorization)).toEqual([undefined, undefined, undefined]);

        proxy.place({ operation: 'GetObject', fault: { kind: 'answer', status: 403, code: 'AccessDenied' } });
        const refused = await runCli(['get', md5(bytes), '-o', 'x', '--server', service.url], folder, {
          TIDEMARK_TOKEN: TOKEN,
          NODE_OPTIONS,
        }).done;
        expect(refused.exitCode).toBe(1);
        expect(refused.stderr).toContain('its store, which answered AccessDenied');
        expect(refused.stderr).not.toMatch(/X-Amz|Signature=/);
      });

      test('end with the life of their address, which no log has', async () => {
        await service.restart({ PRESIGN_TTL: '2s', PUBLIC_READ: 'true' });
        const address = await addressOf(file.url);
        expect(new URL(address).searchParams.get('X-Amz-Expires')).toBe('2');
        expect((await fetch(address, { headers: { Range: 'bytes=0-0' } })).status).toBe(206);
        await expect
          .poll(async () => (await fetch(address, { headers: { Range: 'bytes=0-0' } })).status, { timeout: 10_000 })
          .toBe(403);
        // Now nobody has to be the owner.
        await expectBytes(await addressOf(file.url, {}), bytes);
        expect(service.output()).not.toMatch(/X-Amz-/);
      });
    });
  });
});
