/** The name given now is the name of the file, whatever the upload was begun as. */
import { copyFile, readFile, rename } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { putFile } from '../http/support.ts';
import { type Client, type Interception, MIB, makeClient, makeInterceptor, makeLine, until } from './support.ts';

const SIZE = 6 * MIB;
/** Bytes per second: next to nothing of a file gets through. */
const CRAWL = 256 * 1024;

// Where bytes lie has nothing to do with names.
describe('the name of a file', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  // Each test sees its own files alone.
  beforeEach(async () => {
    const answer = await fetch(`${service.url}/api/files`);
    const { files } = (await answer.json()) as { files: { id: string }[] };
    for (const { id } of files) await fetch(`${service.url}/api/files/${id}`, { method: 'DELETE' });
  });

  async function filesOf(of = service): Promise<string[]> {
    const answer = await fetch(`${of.url}/api/files?sort=name`);
    const { files } = (await answer.json()) as { files: { name: string; type: string | null }[] };
    return files.map(({ name, type }) => `${name} ${type}`);
  }

  async function sizesOf(): Promise<string[]> {
    const answer = await fetch(`${service.url}/api/files?sort=name`);
    const { files } = (await answer.json()) as { files: { name: string; size: number }[] };
    return files.map(({ name, size }) => `${name} ${size}`);
  }

  /** Has a client send half of a file, and end. */
  async function sendHalf(
    name: string,
    intercept: (message: IncomingMessage) => Interception | null = () => null,
    options: readonly string[] = [],
  ): Promise<{ client: Client; path: string }> {
    // So slow that the rest is not on its way by the time the client is gone.
    const line = await makeLine(service.port, 2 * MIB);
    const client = await makeClient(await makeInterceptor(line.url, intercept));
    const path = await client.makeFile(name, SIZE);
    const first = client.start(['upload', ...options, path]);
    await until(() => line.sentBytes() > SIZE / 3);
    first.signal('SIGKILL');
    await first.done;
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    return { client, path };
  }

  test.each([
    ['--name', async (path: string) => ['--name', 'final.pdf', path]],
    [
      'a file that was renamed',
      async (path: string) => {
        await rename(path, join(path, '../final.pdf'));
        return [join(path, '../final.pdf')];
      },
    ],
    [
      'a copy',
      async (path: string) => {
        await copyFile(path, join(path, '../final.pdf'));
        return [join(path, '../final.pdf')];
      },
    ],
  ])('half of it was sent under another name: %s is resumed, and one file is published', async (_, change) => {
    const { client, path } = await sendHalf('draft.txt');
    const result = await client.run(['upload', '--json', ...(await change(path))]);
    const [record] = result.records();
    expect(record).toMatchObject({ status: 'uploaded', name: 'final.pdf' });
    expect(record?.sentBytes).toBeLessThan(SIZE);
    expect(await filesOf()).toEqual(['final.pdf application/pdf']);
    const answer = await fetch(record?.url ?? '');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/pdf']);
  });

  test.each([
    ['not the same', 'draft.txt', ['--name', 'fi\\nal.pdf'], 'fi_nal.pdf application/pdf'],
    ['the same', 'dr\taft.txt', [], 'dr_aft.txt text/plain'],
  ])('a name that is cleaned, and %s as before: there is one file', async (_, before, options, after) => {
    const { client, path } = await sendHalf(before);
    const result = await client.run(['upload', '--json', ...options, path]);
    const [record] = result.records();
    expect(record).toMatchObject({ status: 'uploaded', name: after.split(' ')[0] });
    expect(record?.sentBytes).toBeLessThan(SIZE);
    expect(await filesOf()).toEqual([after]);
  });

  test.each([
    ['under the same name', 'draft.txt', ['--replace'], ['draft.txt']],
    ['under another name', 'final.pdf', ['--replace', '--name', 'final.pdf'], ['final.pdf']],
    ['and another name is wanted', 'draft.txt', ['--name', 'final.pdf'], ['draft.txt', 'final.pdf']],
  ])(
    'half of it was sent without --replace, %s: what has %s gives way with it alone',
    async (_, taken, options, names) => {
      const old = makeBytes(70, 83);
      await putFile(service.url, old, { filename: taken });
      const { client, path } = await sendHalf('draft.txt');
      const result = await client.run(['upload', '--json', ...options, path]);
      const [record] = result.records();
      expect(record).toMatchObject({ status: 'uploaded', name: names.at(-1), size: SIZE });
      expect(record?.sentBytes).toBeLessThan(SIZE);
      expect(await sizesOf()).toEqual(names.map((name) => `${name} ${name === names.at(-1) ? SIZE : old.length}`));
    },
  );

  test.each([[[]], [['--replace']]])(
    'begun with --replace, and resumed under another name (%j): nothing is replaced',
    async (more) => {
      const old = makeBytes(70, 84);
      await putFile(service.url, old, { filename: 'draft.txt' });
      const { client, path } = await sendHalf('draft.txt', () => null, ['--replace']);
      const result = await client.run(['upload', '--json', ...more, '--name', 'final.pdf', path]);
      expect(result.records()).toMatchObject([{ status: 'uploaded', name: 'final.pdf', size: SIZE, sentBytes: SIZE }]);
      expect(await sizesOf()).toEqual([`draft.txt ${old.length}`, `final.pdf ${SIZE}`]);
    },
  );

  test('a run that ends between the publication and the name: the next one gives it', async () => {
    let isCut = true;
    let renames = 0;
    const { client, path } = await sendHalf('draft.txt', ({ method, url }) => {
      if (!isCut || method !== 'PATCH' || url?.startsWith('/api/files/') !== true) return null;
      renames += 1;
      return { status: 503 };
    });
    const cut = client.start(['upload', '--name', 'final.pdf', path]);
    await until(() => renames > 0);
    cut.signal('SIGKILL');
    await cut.done;
    expect(await filesOf()).toEqual(['draft.txt text/plain']);
    isCut = false;
    const result = await client.run(['upload', '--json', '--name', 'final.pdf', path]);
    expect(result.records()).toMatchObject([{ name: 'final.pdf' }]);
    expect(await filesOf()).toEqual(['final.pdf application/pdf']);
  });

  test('something on the way refuses to rename: there is a second file, by the name given now', async () => {
    const { client, path } = await sendHalf('draft.txt', ({ method, url }) =>
      method === 'PATCH' && url?.startsWith('/api/files/') === true ? { status: 405 } : null,
    );
    const result = await client.run(['upload', '--json', '--name', 'final.pdf', path]);
    expect(result.records()).toMatchObject([{ status: 'uploaded', name: 'final.pdf' }]);
    expect(await filesOf()).toEqual(['draft.txt text/plain', 'final.pdf application/pdf']);
  });

  test('the upload of another client keeps its name, and ours is there as well', async () => {
    // Each waits until the other client counts as gone.
    const off = await startService({ env: { INSTANT: 'off' } });
    onTestFinished(() => off.stop());
    await Promise.all([keepsItsName(service), keepsItsName(off)]);
  });

  async function keepsItsName(at: RunningService): Promise<void> {
    const bytes = makeBytes(3 * MIB, 81);
    const declared = { md5: md5(bytes), sha256: sha256(bytes), filename: 'theirs.txt' };
    const location = await createUpload(at.url, bytes.length, declared);
    await patch(location, 0, bytes.subarray(0, MIB));
    const client = await makeClient(at.url);
    const result = await client.run(['upload', '--json', await client.makeFile('ours.pdf', bytes)]);
    expect(result.records()).toMatchObject([{ status: 'uploaded', name: 'ours.pdf' }]);
    expect(await filesOf(at)).toEqual(['ours.pdf application/pdf', 'theirs.txt text/plain']);
  }

  test('the upload of another client keeps its name also when a run of the command resumed it and was killed', async () => {
    const bytes = makeBytes(SIZE, 82);
    const declared = { md5: md5(bytes), sha256: sha256(bytes), filename: 'theirs.txt' };
    const location = await createUpload(service.url, bytes.length, declared);
    await patch(location, 0, bytes.subarray(0, MIB));
    const line = await makeLine(service.port, 4 * MIB);
    // As after its sender is gone.
    let isFree = true;
    const url = await makeInterceptor(line.url, ({ url: path }) => {
      if (!isFree || path?.startsWith('/check') !== true) return null;
      return { status: 200, body: { status: 'notfound', resume: { url: location, offset: MIB, length: SIZE } } };
    });
    const client = await makeClient(url);
    const path = await client.makeFile('ours.pdf', bytes);
    const killed = client.start(['upload', path]);
    await until(() => line.sentBytes() > SIZE / 3);
    killed.signal('SIGKILL');
    await killed.done;
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    isFree = false;
    const result = await client.run(['upload', '--json', path]);
    const [record] = result.records();
    expect(record).toMatchObject({ status: 'uploaded', name: 'ours.pdf' });
    expect(record?.sentBytes).toBeLessThan(SIZE);
    expect(await filesOf()).toEqual(['ours.pdf application/pdf', 'theirs.txt text/plain']);
  });

  test('two runs by two names at once: each gets its own', async () => {
    const line = await makeLine(service.port, 8 * MIB);
    const client = await makeClient(line.url);
    const path = await client.makeFile('one.txt', SIZE);
    const first = client.start(['upload', '--json', path]);
    await until(() => line.sentBytes() > SIZE / 4);
    // However long the second one takes to start, the first has not finished by then.
    line.setSpeed(CRAWL);
    const second = client.start(['upload', '--json', '--name', 'two.pdf', path]);
    await second.said('another run of this command is already sending these bytes; waiting for it');
    line.setSpeed(Infinity);
    const names = (await Promise.all([first.done, second.done])).map((result) => result.records()[0]?.name);
    expect(names).toEqual(['one.txt', 'two.pdf']);
    expect(await filesOf()).toEqual(['one.txt text/plain', 'two.pdf application/pdf']);
  });

  test('a file that somebody renamed after it was published keeps the name that they gave it', async () => {
    const { client, path } = await sendHalf('draft.txt');
    const bytes = await readFile(path);
    // Another client has finished and renamed it: the command must not touch it.
    const answer = await fetch(`${service.url}/check?md5=${md5(bytes)}&sha256=${sha256(bytes)}`);
    const { resume } = (await answer.json()) as { resume: { url: string } };
    let done = await head(resume.url);
    // Bytes that the client had sent may still arrive.
    while (done.headers['tidemark-file-id'] === undefined) {
      const offset = Number((await head(resume.url)).headers['upload-offset']);
      done = await patch(resume.url, offset, bytes.subarray(offset));
    }
    const file = `${service.url}/api/files/${String(done.headers['tidemark-file-id'])}`;
    const headers = { 'Content-Type': 'application/json' };
    await fetch(file, { method: 'PATCH', headers, body: JSON.stringify({ name: 'theirs.md' }) });
    const result = await client.run(['upload', '--json', '--name', 'final.pdf', path]);
    expect(result.records()).toMatchObject([{ status: 'instant', name: 'final.pdf' }]);
    expect(await filesOf()).toEqual(['final.pdf application/pdf', 'theirs.md text/markdown']);
  });
});
