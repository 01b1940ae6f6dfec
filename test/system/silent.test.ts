/** Clients that fall silent without leaving: they are disconnected, what they sent is kept, and nobody else is cut. */
import { once } from 'node:events';
import { readdir, readlink, realpath } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openLine } from '../harness/proxy.ts';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import { slowReads } from '../harness/slow-reads.ts';
import { isConnected } from '../harness/sockets.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { answered, expectBytes, offsetOf, openPatch, until } from './support.ts';
import { IS_LINUX } from '../harness/needs.ts';

const SIZE = 1024 * 1024;
const IDLE_MS = 1000;

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService({ IDLE_TIMEOUT: `${IDLE_MS}ms` });
  });
  afterAll(() => service.stop());

  /** Whether the service has a file of the store open (proc(5)); a bucket has none. */
  async function hasOpenFile(): Promise<boolean> {
    const fds = await readdir(`/proc/${service.pid}/fd`);
    const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${service.pid}/fd/${fd}`).catch(() => '')));
    return targets.some((target) => target.includes('/files/'));
  }

  test.runIf(IS_LINUX)('a PATCH whose peer vanished is ended, and its bytes are kept', async () => {
    const bytes = makeBytes(SIZE, 650);
    const line = await openLine({ toPort: service.port });
    onTestFinished(() => line.close());
    const location = await createUpload(service.url, SIZE, { filename: 'vanished', md5: md5(bytes) });
    const vanished = openPatch(line.url + new URL(location).pathname, 0, SIZE);
    onTestFinished(() => vanished.destroy());
    await vanished.write(bytes.subarray(0, 300_000));
    await until('the line has passed them on', () => line.sentBytes() > 300_000);
    await service.untilTaken(location, 300_000);
    expect(await hasOpenFile()).toBe(store.name === 'local');
    line.freeze();

    // Nobody asks for the upload: its connection is closed all the same.
    await until('its file is closed', async () => !(await hasOpenFile()));
    await until('its bytes count', async () => (await offsetOf(location)) === 300_000);
    expect((await patch(location, 300_000, bytes.subarray(300_000))).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('a byte now and then is enough to stay', async () => {
    const bytes = makeBytes(8, 651);
    const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) });
    const slow = openPatch(location, 0, bytes.length);
    for (let at = 0; at < bytes.length; at++) {
      await slow.write(bytes.subarray(at, at + 1));
      await wait(IDLE_MS / 3);
    }
    slow.end();
    expect((await answered(slow)).status).toBe(204);
    await expectBytes(location, bytes);
  });

  test('a form that stalls is ended, and leaves nothing', async () => {
    const left = await service.unfinished();
    const contents = await service.contents();
    const form = connect(service.port, '127.0.0.1');
    form.on('error', () => undefined);
    form.resume();
    form.write(
      'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n' +
        '--b\r\nContent-Disposition: form-data; name="file"; filename="stalled"\r\n\r\nthe beginning',
    );
    // What a part has so far lies in memory, where parts are stored.
    if (store.name === 'local') {
      await until('its bytes are stored', async () => (await service.unfinished()).length > left.length);
    }
    await once(form, 'close');
    await expect.poll(() => service.unfinished()).toEqual(left);
    expect(await service.contents()).toEqual(contents);
  });

  test.runIf(IS_LINUX)('a download that nobody reads is ended', async () => {
    const bytes = makeBytes(20 * SIZE, 652);
    const location = await createUpload(service.url, bytes.length);
    await patch(location, 0, bytes);
    const download = connect(service.port, '127.0.0.1');
    onTestFinished(() => void download.destroy());
    download.pause();
    download.on('error', () => undefined);
    download.write(`GET ${new URL(location).pathname} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(download, 'connect');
    await until('it is served', () => isConnected(download.localPort, service.port));
    if (store.name === 'local') await until('it has begun', hasOpenFile);
    await until('it is disconnected', async () => !(await isConnected(download.localPort, service.port)));
    await until('its file is closed', async () => !(await hasOpenFile()));
  });
});

// The file is known by what Linux tells of a descriptor (proc(5)).
test.runIf(IS_LINUX)('an answer that takes its time is not cut', async () => {
  const service = await startService();
  onTestFinished(() => service.stop());
  const bytes = makeBytes(100_000, 653);
  const location = await createUpload(service.url, bytes.length, { filename: 'slow.bin' });
  expect((await patch(location, 0, bytes)).status).toBe(204);
  const path = join(await realpath(service.dataDir), 'files', `${md5(bytes)}.bin`);
  await service.restart({ IDLE_TIMEOUT: '200ms', NODE_OPTIONS: slowReads(path, 500) });
  // Not among DIGESTS: it is computed for this answer.
  const begun = Date.now();
  const answer = await send('GET', `${service.url}/check?md5=${md5(bytes)}&sha256=${sha256(bytes)}`);
  expect(Date.now() - begun).toBeGreaterThan(450);
  expect(JSON.parse(answer.body)).toMatchObject({ status: 'exists' });
});

test('a kept connection serves one request after the other, also after a slow one', async () => {
  const service = await startService({ env: { IDLE_TIMEOUT: `${IDLE_MS}ms` } });
  onTestFinished(() => service.stop());
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const ports = new Set<number | undefined>();
  for (let round = 0; round < 3; round++) {
    const request = httpRequest(`${service.url}/healthz`, { agent });
    request.end();
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    ports.add(request.socket?.localPort);
    response.resume();
    await once(response, 'end');
    // Between requests the limit is another one.
    await wait(IDLE_MS * 1.2);
  }
  expect(ports.size).toBe(1);
});
