/** SIGTERM: requests under way end well and soon, and uploads resume after the next start. */
import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { PART } from '../harness/part.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { putFile } from '../http/support.ts';
import { expectBytes, offsetOf, openPatch, until } from './support.ts';

const SIZE = 1024 * 1024;
/** More than the kernel holds of an answer that its client does not take. */
const large = makeBytes(16 * SIZE, 620);

// What has to wait for it takes far longer than anything else does, on a slow machine, too.
const SHUTDOWN_TIMEOUT = '90s';
const SOON_MS = 30_000;

/** A connection on which this has been sent. */
async function begin({ port }: { port: number }, words: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  await new Promise((resolve) => socket.write(words, resolve));
  return socket;
}

describeOverFolderAndBucket((store) => {
  // All tests share one service: what one has stopped, the next one starts again.
  let service: StoredService;
  /** Where the large bytes are. */
  let largeUrl: string;
  beforeAll(async () => {
    service = await store.startService({ SHUTDOWN_TIMEOUT });
    largeUrl = (await putFile(service.url, large)).upload;
  });
  afterAll(() => service.stop());

  /** Begins to take the large bytes, and takes no more than their beginning. */
  async function beginDownload(): Promise<Socket> {
    const download = connect(service.port, '127.0.0.1');
    onTestFinished(() => void download.destroy());
    download.on('error', () => undefined);
    download.write(`GET ${new URL(largeUrl).pathname} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(download, 'readable');
    return download;
  }

  /** Begins a stop; resolves once it is under way. */
  async function beginStop(): Promise<{ ended: Promise<number | null> }> {
    const said = service.output().length;
    const ended = service.kill('SIGTERM');
    await until('the service stops', () => service.output().slice(said).includes('"msg":"stopping"'));
    return { ended };
  }

  test('running PATCHes commit what they have and answer 503; nothing acknowledged is lost', async () => {
    const uploads = await Promise.all(
      // The last of them has a part already.
      Array.from({ length: 10 }, async (_, index) => {
        const sent = index < 9 ? 50_000 * (index + 1) : PART + 50_000;
        const size = sent + SIZE;
        const bytes = makeBytes(size, 600 + index);
        const location = await createUpload(service.url, size, { filename: `stopped-${index}`, md5: md5(bytes) });
        const running = openPatch(location, 0, size);
        await running.write(bytes.subarray(0, sent));
        await service.untilTaken(location, sent);
        return { bytes, location, running, sent };
      }),
    );
    const begun = Date.now();
    const ended = service.kill('SIGTERM');
    for (const { running } of uploads) {
      const answer = await running.answer;
      expect(answer).toMatchObject({ status: 503, code: 'shutting_down', headers: { 'retry-after': '5' } });
      running.destroy();
    }
    expect(await ended).toBe(0);
    expect(Date.now() - begun).toBeLessThan(SOON_MS);

    await service.restart();
    for (const { bytes, location, sent } of uploads) {
      expect(await offsetOf(location)).toBe(sent);
      expect((await patch(location, sent, bytes.subarray(sent))).status).toBe(204);
      await expectBytes(location, bytes);
    }
  });

  test('a client that neither sends nor leaves does not hold up the stop', async () => {
    const location = await createUpload(service.url, SIZE);
    const silent = openPatch(location, 0, SIZE);
    await silent.write(Buffer.from('abc'));
    await service.untilTaken(location, 3);
    const begun = Date.now();
    expect(await service.kill('SIGTERM')).toBe(0);
    expect(Date.now() - begun).toBeLessThan(SOON_MS);
    await service.restart();
    expect(await offsetOf(location)).toBe(3);
  });

  test('a new upload that comes during the stop is refused with 503', async () => {
    // The stop lasts as long as this download is not taken.
    const download = await beginDownload();
    // This request's first line came before the stop, so its connection stays.
    const late = await begin(service, 'POST /uploads HTTP/1.1\r\n');
    const other = await begin(service, 'POST /upload HTTP/1.1\r\n');
    // On a new connection, which the service accepts after these: then it has read them.
    const after = await begin(service, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    expect(await text(after)).toMatch(/^HTTP\/1\.1 200 /);

    const { ended } = await beginStop();
    late.write('Host: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n\r\n');
    other.write('Host: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 0\r\n\r\n');
    const answers = await Promise.all([text(late), text(other)]);
    expect(answers[0]).toMatch(/\r\nTus-Resumable: 1\.0\.0\r\n/);
    for (const answer of answers) {
      expect(answer).toMatch(/^HTTP\/1\.1 503 /);
      expect(answer).toMatch(/\r\nRetry-After: 5\r\n/);
      expect(answer).toContain('"code":"shutting_down"');
    }
    await expect(fetch(`${service.url}/healthz`)).rejects.toThrow('fetch failed');
    download.resume();
    expect(await ended).toBe(0);
  });

  test('what cannot end is cut at SHUTDOWN_TIMEOUT', async () => {
    await service.restart({ SHUTDOWN_TIMEOUT: '1s' });
    const stuck = await beginDownload();
    const begun = Date.now();
    expect(await service.kill('SIGTERM')).toBe(0);
    expect(Date.now() - begun).toBeGreaterThan(900);
    expect(Date.now() - begun).toBeLessThan(SOON_MS);
    stuck.destroy();
    await service.restart({ SHUTDOWN_TIMEOUT });
    await expectBytes(largeUrl, large);
  });

  test('a second signal ends it at once', async () => {
    await beginDownload();
    const { ended } = await beginStop();
    const begun = Date.now();
    expect(await service.kill('SIGTERM')).toBe(1);
    await ended;
    expect(Date.now() - begun).toBeLessThan(SOON_MS);
  });

  test('idle keep-alive connections, and one that becomes idle during the stop, do not delay it', async () => {
    await service.restart();
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    onTestFinished(() => agent.destroy());
    const get = async (path: string): Promise<void> => {
      const request = httpRequest(service.url + path, { agent });
      request.end();
      const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
      await text(response);
    };
    await Promise.all(Array.from({ length: 20 }, () => get('/healthz')));

    const slow = httpRequest(largeUrl, { agent });
    slow.end();
    const [response] = (await once(slow, 'response')) as [NodeJS.ReadableStream];
    const begun = Date.now();
    const { ended } = await beginStop();
    expect((await buffer(response)).length).toBe(large.length);
    expect(await ended).toBe(0);
    expect(Date.now() - begun).toBeLessThan(SOON_MS);
  });
});
