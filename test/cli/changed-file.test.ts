/** A file whose bytes changed, while its size and its time of modification did not. */
import { execFile } from 'node:child_process';
import { open, readFile, readdir, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { type Client, MIB, makeClient, makeInterceptor, makeLine, settled, until } from './support.ts';

const run = promisify(execFile);

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** Writes other bytes of the same length into the same file; its times are those of before. */
async function writeInPlace(path: string, bytes: Uint8Array): Promise<void> {
  const { atime, mtime } = await stat(path);
  const handle = await open(path, 'r+');
  await handle.write(bytes);
  await handle.close();
  await utimes(path, atime, mtime);
}

/** Has the remembered digests of a file speak of other bytes. */
async function forge(client: Client, path: string): Promise<void> {
  await settled(path);
  await client.run(['check', path]);
  const folder = join(client.folder, '.cache/tidemark/digests');
  const digest = md5(await readFile(path));
  for (const name of await readdir(folder)) {
    const remembered = await readFile(join(folder, name), 'utf8');
    await writeFile(join(folder, name), remembered.replace(digest, '0'.repeat(32)));
  }
}

describe('with its old size and time', () => {
  test.each([
    ['written to in place (touch -r)', writeInPlace],
    [
      'copied over (cp --preserve)',
      async (path: string, bytes: Uint8Array) => {
        await writeFile(`${path}.new`, bytes);
        await run('touch', ['-r', path, `${path}.new`]);
        await run('cp', ['-p', `${path}.new`, path]);
      },
    ],
    [
      'replaced (mv)',
      async (path: string, bytes: Uint8Array) => {
        await writeFile(`${path}.new`, bytes);
        await run('touch', ['-r', path, `${path}.new`]);
        await rename(`${path}.new`, path);
      },
    ],
  ])('a file that was %s is sent as it is now', async (what, change) => {
    const client = await makeClient(service.url);
    const path = await client.makeFile('edition.bin', makeBytes(MIB, what.length));
    await settled(path);
    await client.run(['upload', path]);
    const before = await stat(path, { bigint: true });
    const bytes = makeBytes(MIB, 500 + what.length);
    await change(path, bytes);
    const after = await stat(path, { bigint: true });
    expect([after.size, after.mtimeMs]).toEqual([before.size, before.mtimeMs]);
    const result = await client.run(['upload', '--json', path]);
    expect(result.records()).toMatchObject([{ status: 'uploaded', md5: md5(bytes) }]);
  });

  test('one that changed half-way never resumes the upload of its earlier bytes', async () => {
    const line = await makeLine(service.port, 3 * MIB);
    const client = await makeClient(line.url);
    const path = await client.makeFile('half.bin', 6 * MIB);
    await settled(path);
    await client.run(['check', path]);
    const first = client.start(['upload', path]);
    await until(() => line.sentBytes() > 2 * MIB);
    first.signal('SIGKILL');
    await first.done;
    // What the line still holds does not arrive.
    line.cut();
    const bytes = makeBytes(6 * MIB, 77);
    await writeInPlace(path, bytes);
    const result = await client.run(['upload', '--json', path]);
    expect(result.records()).toMatchObject([{ status: 'uploaded', md5: md5(bytes), resumedFrom: 0 }]);
  });

  test('one that changes on the way ends its upload', async () => {
    const line = await makeLine(service.port, 12 * MIB);
    const client = await makeClient(line.url);
    const path = await client.makeFile('restless.bin', 24 * MIB);
    const upload = client.start(['upload', '--json', path]);
    await until(() => line.sentBytes() > 8 * MIB);
    await writeInPlace(path, makeBytes(1000, 78));
    const result = await upload.done;
    expect(result.records()).toMatchObject([{ status: 'failed', error: { code: 'file_changed' } }]);
  });
});

describe('bytes that do not have the digest that was remembered of them', () => {
  test('are read again once, and sent', async () => {
    const client = await makeClient(service.url);
    const path = await client.makeFile('misremembered.bin', 3 * MIB);
    await forge(client, path);
    const result = await client.run(['upload', '--json', path]);
    expect(result.records()).toMatchObject([{ status: 'uploaded', md5: md5(await readFile(path)) }]);
    expect((await client.run(['check', '--json', path])).records()).toMatchObject([{ status: 'exists' }]);
  });

  test('are refused for good when the service says the same of what was just read', async () => {
    let refusals = 0;
    const url = await makeInterceptor(service.url, ({ method }) => {
      if (method !== 'PATCH') return null;
      refusals += 1;
      return { status: 460, body: { error: { code: 'digest_mismatch', message: 'The bytes differ.' } } };
    });
    const client = await makeClient(url);
    const path = await client.makeFile('refused.bin', 3 * MIB);
    const fresh = await client.run(['upload', '--json', path]);
    expect(fresh.records()).toMatchObject([{ status: 'failed', error: { code: 'digest_mismatch' } }]);
    expect(refusals).toBe(1);
    await forge(client, path);
    const again = await client.run(['upload', '--json', path]);
    expect(again.records()).toMatchObject([{ status: 'failed', error: { code: 'digest_mismatch' } }]);
    expect(refusals).toBe(3);
  });
});
