/** Folders by the command: sent with their structure, listed, moved, brought back file by file, and deleted. */
import { link, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';
import { startService as startHere } from '../../server/service.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { exchange } from '../../client/cli/http.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { IS_LINUX } from '../harness/needs.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { TUS } from '../harness/tus.ts';
import { putFile } from '../http/support.ts';
import { type Client, makeClient, makeInterceptor, makeLine, MIB } from './support.ts';

const NEVER = new AbortController().signal;

const TREE: Readonly<Record<string, Buffer>> = {
  'dir/1.txt': makeBytes(30, 631),
  'dir/sub/2.txt': makeBytes(40, 632),
  'dir/sub/deep/1.txt': makeBytes(50, 633),
};

async function makeTree(folder: string, tree: Readonly<Record<string, Buffer>> = TREE): Promise<void> {
  for (const [name, bytes] of Object.entries(tree)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
}

/** All files below a folder, by their paths from there. */
async function treeIn(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path.slice(folder.length + 1)] = md5(await readFile(path));
  }
  return found;
}

const digests = (tree: Readonly<Record<string, Buffer>>): Record<string, string> =>
  Object.fromEntries(Object.entries(tree).map(([name, bytes]) => [name, md5(bytes)]));

describe('folders', () => {
  let service: RunningService;
  let client: Client;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  async function run(...args: string[]): Promise<string> {
    const result = await client.run(args);
    expect([result.exitCode, result.stderr], result.stderr).toMatchObject([0, expect.any(String)]);
    return result.stdout + result.stderr;
  }

  test('go there and come back with their structure; what is there already is not sent or fetched again', async () => {
    client = await makeClient(service.url);
    await makeTree(client.folder);
    await symlink('1.txt', join(client.folder, 'dir/link'));
    expect(await run('upload', '--recursive', 'dir')).toContain('3 uploaded, 0 instant, 0 failed');
    expect(await run('upload', '-r', 'dir/')).toContain('0 uploaded, 3 instant, 0 failed');
    expect(await run('list', '/')).toMatch(/3 files +120 B  dir\/\n/);
    expect(await run('list', 'dir/sub')).toMatch(/1 file .*dir\/sub\/deep\/\n.*dir\/sub\/2\.txt\n/);
    expect((await run('list', 'dir', '-r', '-q')).trim().split('\n')).toHaveLength(3);
    expect(await run('get', '--recursive', 'dir', 'back')).toContain('3 downloaded, 0 there already');
    const { 'dir/1.txt': one = '', 'dir/sub/2.txt': two = '', 'dir/sub/deep/1.txt': three = '' } = digests(TREE);
    const whole = { '1.txt': one, 'sub/2.txt': two, 'sub/deep/1.txt': three };
    expect(await treeIn(join(client.folder, 'back'))).toEqual(whole);

    await writeFile(join(client.folder, 'back/1.txt'), 'changed');
    const again = await client.run(['get', '-r', 'dir', '-o', 'back']);
    expect([again.exitCode, again.stderr]).toMatchObject([1, expect.stringContaining('is there and differs')]);
    expect(await readFile(join(client.folder, 'back/1.txt'), 'utf8')).toBe('changed');
    expect(await run('get', '-r', 'dir', '-o', 'back', '--force')).toContain('1 downloaded, 2 there already');
    expect(await treeIn(join(client.folder, 'back'))).toEqual(whole);
  });

  test('a path that is taken: both are kept, or the old one is replaced', async () => {
    client = await makeClient(service.url);
    const [old, new_] = [makeBytes(60, 634), makeBytes(61, 635)];
    await makeTree(client.folder, { 'taken/f.txt': old });
    await run('upload', '-r', 'taken');
    await writeFile(join(client.folder, 'taken/f.txt'), new_);
    expect(await run('upload', '-r', 'taken')).toContain('the service calls it taken/f (2).txt');
    await writeFile(join(client.folder, 'taken/f.txt'), makeBytes(62, 636));
    await run('upload', '-r', '--replace', 'taken');
    await run('get', '-r', 'taken', 'now');
    expect(await treeIn(join(client.folder, 'now'))).toEqual({
      'f.txt': md5(makeBytes(62, 636)),
      'f (2).txt': md5(new_),
    });
  });

  test('two files with equal bytes whose long names begin alike come at once', async () => {
    client = await makeClient(service.url);
    const begin = '\u9577'.repeat(55);
    const bytes = makeBytes(4 * MIB, 647);
    await makeTree(client.folder, { [`q/${begin}1.bin`]: bytes, [`q/${begin}2.bin`]: bytes });
    await run('upload', '-r', 'q');
    expect(await run('get', '-r', 'q', '-o', 'k', '--parallel', '2')).toContain('2 downloaded');
    expect(Object.values(await treeIn(join(client.folder, 'k')))).toEqual([md5(bytes), md5(bytes)]);
  });

  test('with --replace, files of one run that get the same name are refused before anything is sent', async () => {
    client = await makeClient(service.url);
    const tree = { 'one/readme.txt': makeBytes(63, 642), 'two/readme.txt': makeBytes(64, 643) };
    await makeTree(client.folder, { ...tree, 'w/a\\b': makeBytes(65, 644), 'w/a_b': makeBytes(66, 645) });
    for (const [paths, first, second, name] of [
      [['one/readme.txt', 'two/readme.txt'], 'one/readme.txt', 'two/readme.txt', 'readme.txt'],
      [['w'], 'w/a\\b', 'w/a_b', 'w/a_b'],
    ] as const) {
      const refused = await client.run(['upload', '-r', '--replace', ...paths]);
      const says = `${first} and ${second} would both be called ${name}`;
      expect([refused.exitCode, refused.stderr]).toMatchObject([2, expect.stringContaining(says)]);
    }
    if (IS_LINUX) {
      // Names that are not UTF-8, and that are shown with the same signs.
      await makeTree(client.folder, { 'x/a': makeBytes(67, 646) });
      for (const last of [0xfe, 0xff]) {
        await writeFile(Buffer.from(`${join(client.folder, 'x')}/${String.fromCharCode(last)}`, 'latin1'), `${last}`);
      }
      expect(await client.run(['upload', '-r', '--replace', 'x'])).toMatchObject({ exitCode: 2 });
    }
    expect(await run('list', '--search', 'readme')).toContain('No files.');
    expect(await run('upload', 'one/readme.txt', 'two/readme.txt', '--parallel', '1')).toContain('readme (2).txt');
    expect(await run('upload', '-r', '--replace', 'one/readme.txt', './one/readme.txt', 'two')).toContain('0 failed');
  });

  test('are moved, and deleted with all that is below them', async () => {
    client = await makeClient(service.url);
    await makeTree(client.folder, { 'm/a/1': makeBytes(70, 637), 'm/2': makeBytes(71, 638) });
    await run('upload', '-r', 'm');
    expect(await run('move', 'm/a', 'n/')).toContain('m/a is now n/a, with 1 file');
    expect(await run('move', 'm/2', 'n/b/two')).toContain('is now called n/b/two');
    const taken = await client.run(['move', 'n/a', 'n/b']);
    expect([taken.exitCode, taken.stderr]).toMatchObject([
      1,
      expect.stringContaining('There is a folder by that name'),
    ]);
    expect(await run('delete', '-r', 'n')).toContain('n: deleted, with 2 files (141 B)');
    const gone = await client.run(['list', 'n']);
    expect([gone.exitCode, gone.stderr]).toMatchObject([1, expect.stringContaining('there is no folder n')]);
  });

  test('are deleted with one command, however many requests it takes', async () => {
    // To the service, five seconds pass with each look at the clock.
    let elapsedMs = 0;
    const surroundings = { ...SYSTEM, elapsedMs: () => (elapsedMs += 5_001) };
    const config = parseConfig({ DATA_DIR: await makeTempFolder(), HTTP_PORT: '0' });
    const hurried = await startHere(config, pino({ level: 'silent' }), { surroundings, jobs: false });
    onTestFinished(() => hurried.stop());
    for (let index = 0; index < 70; index++)
      await putFile(hurried.localUrl, makeBytes(10, 6_400 + index), { filename: `many/${index}` });
    const first = await fetch(`${hurried.localUrl}/api/files?prefix=`);
    expect(await first.json()).toMatchObject({ folders: [{ name: 'many', files: 70 }] });
    client = await makeClient(hurried.localUrl);
    expect(await run('delete', '-r', 'many')).toContain('many: deleted, with 70 files (700 B)');
  });

  test('an upload of a long path is looked at: the head of the answer has it twice', async () => {
    const path = `${`${'文'.repeat(85)}/`.repeat(15)}${'名'.repeat(80)}`;
    const ask = (method: string, url: string, headers: Record<string, string>, body?: string) =>
      exchange({ method, url, headers: { ...TUS, ...headers }, body, signal: NEVER, stallTimeoutMs: 30_000 });
    const metadata = `filename ${Buffer.from(path).toString('base64')}`;
    const type = { 'Content-Type': 'application/offset+octet-stream' };
    const created = { 'Upload-Length': '3', 'Upload-Metadata': metadata, ...type };
    const { headers } = await ask('POST', `${service.url}/uploads`, created, 'abc');
    const looked = await ask('HEAD', headers.location ?? '', {});
    expect([looked.status, looked.headers['upload-metadata']]).toEqual([200, metadata]);
    expect(decodeURIComponent(String(looked.headers['tidemark-file-name']))).toBe(path);
  });

  test('nothing is written outside of the target, and no file of the folder over another', async () => {
    client = await makeClient(service.url);
    const outside = await makeTempFolder();
    const [one, two, three] = [makeBytes(80, 639), makeBytes(81, 640), makeBytes(82, 641)];
    // A file beside a folder of the same name; a disk can have only one of them.
    await putFile(service.url, one, { filename: 'w/same' });
    await putFile(service.url, two, { filename: 'w/same/below' });
    await putFile(service.url, three, { filename: 'w/led/out' });
    await mkdir(join(client.folder, 't'));
    await symlink(outside, join(client.folder, 't/led'));
    const result = await client.run(['get', '-r', 'w', 't']);
    expect([result.exitCode, result.stderr]).toMatchObject([1, expect.stringContaining('is a symbolic link')]);
    expect(await readdir(outside)).toEqual([]);
    const found = await treeIn(join(client.folder, 't'));
    expect(found).toEqual({ same: md5(one), 'same (2)/below': md5(two) });
  });

  test('a folder that is brought back again is as it was, whatever inodes its files have', async () => {
    client = await makeClient(service.url);
    const same = makeBytes(90, 647);
    // Of equal bytes, so that a program may have made two of them one file.
    await makeTree(client.folder, { 'i/a': same, 'i/b': same, 'i/c': makeBytes(91, 648) });
    await run('upload', '-r', 'i');
    const log = join(client.folder, 'log');
    const preload = new URL('../harness/watched-disk.js', import.meta.url).href;
    const env = { NODE_OPTIONS: `--import=${preload}?log=${encodeURIComponent(log)}` };
    expect((await client.run(['get', '-r', 'i', 'back'], env)).stderr).toContain('3 downloaded, 0 there already');
    // As many times as there are folders, and not as there are files.
    expect((await readFile(log, 'utf8')).split('\n').filter((path) => path === 'back')).toHaveLength(1);
    expect((await client.run(['get', '-r', 'i', 'back'], env)).stderr).toContain('0 downloaded, 3 there already');
    await rm(join(client.folder, 'back/b'));
    await link(join(client.folder, 'back/a'), join(client.folder, 'back/b'));
    expect(await run('get', '-r', 'i', 'back')).toContain('0 downloaded, 3 there already');
    expect(Object.keys(await treeIn(join(client.folder, 'back'))).toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('a file that cannot be brought keeps its place: what is in the folder of its name goes where it went before', async () => {
    client = await makeClient(service.url);
    const { fileId } = await putFile(service.url, makeBytes(92, 649), { filename: 'p/x' });
    await putFile(service.url, makeBytes(93, 650), { filename: 'p/x/below' });
    expect(await run('get', '-r', 'p')).toContain('2 downloaded');
    for (const spoil of [(path: string) => writeFile(path, 'changed'), (path: string) => rm(path)]) {
      await spoil(join(client.folder, 'p/x'));
      const url = await makeInterceptor(service.url, ({ url: path }) =>
        path?.includes(fileId) === true ? { status: 404 } : null,
      );
      const again = await client.run(['get', '-r', 'p', '--server', url]);
      expect([again.exitCode, again.stderr]).toMatchObject([
        1,
        expect.stringContaining('0 downloaded, 1 there already, 1 failed'),
      ]);
      expect(await readdir(join(client.folder, 'p/x (2)'))).toEqual(['below']);
    }
  });

  test('a file whose folder moves while all are listed is brought once', async () => {
    client = await makeClient(service.url);
    const names = Array.from({ length: 120 }, (_, index) => `l/${String(index).padStart(3, '0')}/f`);
    await Promise.all(names.map((filename, index) => putFile(service.url, makeBytes(94, 1_700 + index), { filename })));
    let move: Promise<unknown> | undefined;
    let isMoved = false;
    async function moveFirst(): Promise<void> {
      await fetch(`${service.url}/api/folders?path=l/000`, {
        method: 'PATCH',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ path: 'l/zzz' }),
      });
      isMoved = true;
    }
    const url = await makeInterceptor(service.url, ({ url: path }) => {
      if (path?.includes('cursor=') !== true || isMoved) return null;
      move ??= moveFirst();
      return { status: 503 };
    });
    const result = await client.run(['get', '-r', 'l', '--server', url]);
    await move;
    expect(result.stderr).toContain('120 downloaded, 0 there already');
    const found = Object.keys(await treeIn(join(client.folder, 'l')));
    expect(found.toSorted()).toEqual([...names.slice(1).map((name) => name.slice(2)), 'zzz/f']);
  });

  test('a run that is killed is resumed: each file from where it was, several at once', async () => {
    client = await makeClient(service.url);
    const tree = { 'r/1': makeBytes(3 * MIB, 651), 'r/2': makeBytes(3 * MIB, 652), 'r/a/3': makeBytes(3 * MIB, 653) };
    await makeTree(client.folder, tree);
    await run('upload', '-r', 'r');
    const line = await makeLine(service.port, { answersPerSecond: MIB });
    const sizesOfParts = async (): Promise<number[]> => {
      const names = await readdir(client.folder, { recursive: true });
      const parts = names.filter((name) => name.endsWith('.tidemark-part'));
      return Promise.all(parts.map(async (name) => (await stat(join(client.folder, name))).size));
    };
    const first = client.start(['get', '-r', 'r', 'back', '--server', line.url]);
    await expect.poll(async () => (await sizesOfParts()).filter((size) => size > MIB / 4).length).toBe(3);
    first.signal('SIGKILL');
    await first.done;
    const again = await client.run(['get', '-r', 'r', 'back', '--json', '--server', line.url]);
    const received = again.records().reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    expect(again.exitCode, again.stderr).toBe(0);
    expect(received).toBeLessThan(9 * MIB - 3 * (MIB / 4) + 1);
    expect(await sizesOfParts()).toEqual([]);
    const back = Object.fromEntries(Object.entries(digests(tree)).map(([name, digest]) => [name.slice(2), digest]));
    expect(await treeIn(join(client.folder, 'back'))).toEqual(back);
  });

  test('move means the folder before a file, whatever its name; rename keeps a file in its folder', async () => {
    client = await makeClient(service.url);
    const bytes = makeBytes(95, 654);
    await putFile(service.url, bytes, { filename: 'mv/file.txt' });
    await putFile(service.url, makeBytes(96, 655), { filename: `${md5(bytes)}/in` });
    expect(await run('move', md5(bytes), 'mv/digest')).toContain('is now mv/digest, with 1 file');
    await putFile(service.url, makeBytes(97, 656), { filename: 'mv/digest' });
    let searches = 0;
    const url = await makeInterceptor(service.url, ({ url: path }) => {
      if (path?.includes('search=') === true) searches += 1;
      return null;
    });
    expect(await run('move', 'mv/digest', 'mv/folder', '--server', url)).toContain('is now mv/folder, with 1 file');
    expect(searches).toBe(0);
    expect(await run('rename', 'mv/file.txt', 'other.txt')).toContain('is now called mv/other.txt');
    expect(await run('rename', 'mv/other.txt', 'mv/in/other.txt')).toContain('is now called mv/in/other.txt');
    expect(await run('rename', 'mv/in/other.txt', '/other.txt')).toContain('is now called other.txt');
  });
});
