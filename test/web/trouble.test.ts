/** What the page says, and does next, when the service or the file lets it down. */
import { appendFile, truncate } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOfUrl, makeRandomFile } from '../harness/make-file.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { putFile } from '../http/support.ts';
import { CAN_MOUNT, mountSmallDisk } from '../system/mounts.ts';
import { describeInBrowser, openPage } from './browsers.ts';
import {
  CRAWL,
  choose,
  chosen,
  drop,
  file,
  makeFile,
  press,
  sentFrom,
  startOwn,
  startSending,
  untilStatus,
  upload,
} from './support.ts';

const MIB = 1024 * 1024;

describeInBrowser('trouble', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  // Skipped without the right to mount: run the tests as root on Linux.
  test.skipIf(!CAN_MOUNT)('the page waits for a full store, and resumes by itself once there is room', async () => {
    const disk = mountSmallDisk('12M');
    const small = await startOwn({ dataDir: disk.folder });
    const page = await openPage(small.url);
    const big = await makeFile('cargo.bin', 20 * MIB);
    await choose(page, big.path);
    await untilStatus(
      page,
      'cargo.bin',
      /^There is no room on the service; it continues by itself as soon as there is/,
    );
    disk.remount('size=60M');
    await untilStatus(page, 'cargo.bin', /^Done, verified/);
    expect(await digestOfUrl(`${small.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5, size: big.size });
  });

  test('a service that is restarted in order is waited for', async () => {
    const { line, page } = await startSending('dredged.bin', 8 * MIB, 0.2, { bytesPerSecond: 2 * MIB, service });
    line.setSpeed(CRAWL);
    const offsets = sentFrom(page);
    await service.kill('SIGTERM');
    line.setSpeed(Infinity);
    await untilStatus(
      page,
      'dredged.bin',
      /^(?:The service is (?:busy or )?restarting|Waiting for the connection).*it continues by itself/i,
    );
    await service.restart();
    await untilStatus(page, 'dredged.bin', /^Done, verified/);
    expect(offsets.at(-1)).toBeGreaterThan(0);
  });

  test('files chosen while the service is away are sent when it is back', async () => {
    await putFile(service.url, 'there', { filename: 'there.txt' });
    const page = await openPage(service.url);
    await file(page, 'there.txt').waitFor();
    await service.kill('SIGKILL');
    await choose(page, chosen('early bird.bin', makeBytes(MIB, 721)));
    await untilStatus(page, 'early bird.bin', /^Waiting for the connection/);
    await service.restart();
    await untilStatus(page, 'early bird.bin', /^Done, verified/);
    await file(page, 'early bird.bin').waitFor();
  });

  test('a file that changes after it was chosen stops with a sentence; trying again asks for it', async () => {
    const { path } = await makeFile('changing.bin', 2 * MIB);
    const page = await openPage(service.url);
    await page.route(
      '**/check?*',
      async (route) => {
        await makeRandomFile(path, MIB);
        await route.continue();
      },
      { times: 1 },
    );
    await choose(page, path);
    await untilStatus(page, 'changing.bin', /^The file changed or vanished while it was read\. Try again/);
    await page.locator('#summary', { hasText: '1 failed' }).waitFor();
    const dialog = page.waitForEvent('filechooser');
    await press(page, 'changing.bin', /^Try again/);
    await (await dialog).setFiles(path);
    await untilStatus(page, 'changing.bin', /^Done, verified · 1\.0 MiB/);
    expect(await upload(page, 'changing.bin').count()).toBe(1);
  });

  test('one that was dropped is taken as it is now', async () => {
    const { path } = await makeFile('drifting.bin', 2 * MIB);
    const page = await openPage(service.url);
    await page.route(
      '**/check?*',
      async (route) => {
        await appendFile(path, makeBytes(MIB, 722));
        await route.continue();
      },
      { times: 1 },
    );
    await drop(page, [path]);
    await untilStatus(page, 'drifting.bin', /^The file changed or vanished/);
    await press(page, 'drifting.bin', /^Try again/);
    await untilStatus(page, 'drifting.bin', /^Done, verified · 3\.0 MiB/);
  });

  test('a file that shrinks while it is sent stops with a sentence, and nothing is published', async () => {
    const { big, page } = await startSending('shrinking.bin', 60 * MIB, 0.1, { service });
    await truncate(big.path, MIB);
    await untilStatus(page, 'shrinking.bin', /^The file changed or vanished while it was read/);
    expect(await file(page, 'shrinking.bin').count()).toBe(0);
  });

  test('bytes other than those that were hashed are refused, and a retry reads the file again', async () => {
    const page = await openPage(service.url);
    const other = Buffer.from('0'.repeat(32)).toString('base64');
    let isForged = false;
    await page.route('**/uploads', async (route) => {
      const headers = route.request().headers();
      const metadata = headers['upload-metadata'];
      if (isForged || metadata === undefined) return route.continue();
      isForged = true;
      const forged = metadata.replace(/md5 [^,]+/, `md5 ${other}`);
      return route.continue({ headers: { ...headers, 'upload-metadata': forged } });
    });
    await choose(page, chosen('forged.bin', makeBytes(MIB, 723)));
    await untilStatus(page, 'forged.bin', /^What arrived is not what was read: .* Nothing was stored; try again\./);
    await press(page, 'forged.bin', /^Try again/);
    await untilStatus(page, 'forged.bin', /^Done, verified/);
  });
});
