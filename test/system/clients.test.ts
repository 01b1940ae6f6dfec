/** Clients that others wrote: tus-js-client, Uppy's tus plugin, and curl by hand. */
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { DefaultHttpStack, type HttpStack, Upload, type UploadOptions } from 'tus-js-client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openLine } from '../harness/proxy.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { encodeMetadata } from '../harness/tus.ts';
import { expectBytes, listFiles } from './support.ts';
import { isHere } from '../harness/needs.ts';

/** As much of Uppy as the test needs: its own types bring those of a browser into the whole program. */
interface UppyLike {
  use(plugin: unknown, options: object): UppyLike;
  addFile(file: { name: string; type: string; data: unknown }): void;
  upload(): Promise<{ failed: unknown[]; successful: unknown[] }>;
  destroy(): void;
}

async function importDefault<T>(name: string): Promise<T> {
  return ((await import(name)) as { default: T }).default;
}

/** The plugin sets a property of the request below before it is sent, and in Node there is none until then. */
function httpStackForUppy(): HttpStack {
  const stack = new DefaultHttpStack({});
  return {
    getName: () => stack.getName(),
    createRequest: (method, url) => {
      const request = stack.createRequest(method, url);
      const underlying = request.getUnderlyingObject.bind(request);
      return Object.assign(request, { getUnderlyingObject: () => (underlying() as object | null) ?? {} });
    },
  };
}

const run = promisify(execFile);
const HAS_CURL = isHere(
  await run('curl', ['--version']).then(
    () => true,
    () => false,
  ),
  'a client by hand needs curl (Debian: apt-get install curl)',
);

const OFFSET_TYPE = 'Content-Type: application/offset+octet-stream';

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  async function expectListed(name: string, bytes: Buffer): Promise<void> {
    const found = (await listFiles(service)).filter((file) => file.name === name);
    expect(found).toHaveLength(1);
    await expectBytes(service.url + new URL(found[0]?.url ?? '').pathname, bytes);
  }

  describe('tus-js-client', () => {
    function upload(source: UploadSource, name: string, options: UploadOptions = {}): Promise<void> {
      return new Promise((resolve, reject) => {
        new Upload(source, {
          endpoint: `${service.url}/uploads`,
          metadata: { filename: name },
          retryDelays: [0, 50, 100, 200, 400],
          ...options,
          onSuccess: () => resolve(),
          onError: reject,
        }).start();
      });
    }
    type UploadSource = ConstructorParameters<typeof Upload>[0];

    test('several files at once, in small chunks', async () => {
      const files = Array.from({ length: 6 }, (_, index) => makeBytes(400_000 + index, 900 + index));
      await Promise.all(files.map((bytes, index) => upload(bytes, `chunks-${index}`, { chunkSize: 37_001 })));
      for (const [index, bytes] of files.entries()) await expectListed(`chunks-${index}`, bytes);
    });

    test('a file of the disk in one request, with data in the creation', async () => {
      const bytes = makeBytes(3_000_000, 910);
      const path = join(await makeTempFolder(), 'file.bin');
      await writeFile(path, bytes);
      await upload(createReadStream(path), 'from-disk.bin', { uploadDataDuringCreation: true });
      await expectListed('from-disk.bin', bytes);
    });

    test('a stream whose length is known at its end', async () => {
      const bytes = makeBytes(1_000_000, 911);
      const stream = Readable.from(
        Array.from({ length: 100 }, (_, at) => bytes.subarray(at * 10_000, (at + 1) * 10_000)),
      );
      await upload(stream, 'deferred', { uploadLengthDeferred: true, chunkSize: 150_000 });
      await expectListed('deferred', bytes);
    });

    test('over a line that breaks again and again', async () => {
      const bytes = makeBytes(4_000_000, 912);
      const line = await openLine({ toPort: service.port, bytesPerSecond: 8_000_000 });
      onTestFinished(() => line.close());
      let cuts = 0;
      await upload(bytes, 'cut-often', {
        endpoint: `${line.url}/uploads`,
        chunkSize: 500_000,
        onProgress: (sent) => {
          if (sent < (cuts + 1) * 1_000_000 || cuts >= 3) return;
          cuts++;
          line.cut();
        },
      });
      expect(cuts).toBe(3);
      await expectListed('cut-often', bytes);
    });
  });

  test("Uppy's tus plugin", async () => {
    const Uppy = await importDefault<new () => UppyLike>('@uppy/core');
    const UppyTus = await importDefault<unknown>('@uppy/tus');
    const files = [makeBytes(1_200_000, 920), makeBytes(30, 921), makeBytes(700_000, 922)];
    const uppy = new Uppy().use(UppyTus, {
      endpoint: `${service.url}/uploads`,
      chunkSize: 250_000,
      httpStack: httpStackForUppy(),
      // There is no storage of a browser here.
      storeFingerprintForResuming: false,
    });
    for (const [index, bytes] of files.entries()) {
      // In Node the plugin takes buffers; Uppy wants to know their size as that of a browser's file.
      const data = Object.assign(bytes, { size: bytes.length });
      uppy.addFile({ name: `uppy-${index}.bin`, type: 'application/octet-stream', data });
    }
    const result = await uppy.upload();
    expect(result.failed).toHaveLength(0);
    expect(result.successful).toHaveLength(files.length);
    for (const [index, bytes] of files.entries()) await expectListed(`uppy-${index}.bin`, bytes);
    uppy.destroy();
  });

  // Skipped without curl on PATH.
  test.skipIf(!HAS_CURL)('curl by hand', async () => {
    const bytes = makeBytes(500_000, 930);
    const folder = await makeTempFolder();
    await writeFile(join(folder, 'first'), bytes.subarray(0, 200_000));
    await writeFile(join(folder, 'second'), bytes.subarray(200_000));
    const curl = async (...args: string[]): Promise<string> =>
      (await run('curl', ['--silent', '--show-error', '--include', '--header', 'Tus-Resumable: 1.0.0', ...args]))
        .stdout;
    const metadata = encodeMetadata({ filename: 'by hand.bin', md5: md5(bytes) });

    const created = await curl(
      '-X',
      'POST',
      '-H',
      'Upload-Length: 500000',
      '-H',
      `Upload-Metadata: ${metadata}`,
      `${service.url}/uploads`,
    );
    expect(created).toMatch(/^HTTP\/1\.1 201 /);
    const location = /^Location: (\S+)/im.exec(created)?.[1] ?? '';
    const append = (offset: number, name: string): Promise<string> =>
      curl(
        '-X',
        'PATCH',
        '-H',
        `Upload-Offset: ${offset}`,
        '-H',
        OFFSET_TYPE,
        '--data-binary',
        `@${join(folder, name)}`,
        location,
      );
    expect(await append(0, 'first')).toMatch(/^HTTP\/1\.1 204 [^]*Upload-Offset: 200000\r\n/im);
    expect(await append(0, 'first')).toMatch(/HTTP\/1\.1 409 [^]*Upload-Offset: 200000\r\n/im);
    const state = await curl('--head', location);
    expect(state).toMatch(/^HTTP\/1\.1 200 /);
    expect(state).toMatch(/^Upload-Offset: 200000\r$/im);
    expect(state).toMatch(/^Upload-Length: 500000\r$/im);
    expect(await append(200_000, 'second')).toMatch(/^HTTP\/1\.1 204 /);
    await expectListed('by hand.bin', bytes);
  });
});
