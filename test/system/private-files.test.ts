/** What the service keeps is its user's alone. */
import { chmod, mkdir, readdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { putFile } from '../http/support.ts';
import { startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch, send } from '../harness/tus.ts';

/** Every folder and file below one, with the bits of its mode. */
async function modesBelow(folder: string): Promise<[path: string, mode: string][]> {
  const paths = [folder, ...(await readdir(folder, { recursive: true })).map((path) => join(folder, path))];
  return Promise.all(
    paths.map(async (path) => {
      const found = await stat(path);
      return [path, `${found.isDirectory() ? 'd' : '-'}${(found.mode & 0o7777).toString(8)}`] as const;
    }),
  ).then((modes) => modes.map(([path, mode]) => [path.slice(folder.length), mode]));
}

function expectPrivate(modes: [string, string][]): void {
  for (const [path, mode] of modes) expect([path, mode]).toEqual([path, mode.startsWith('d') ? 'd700' : '-600']);
}

describe('with the mask of a machine that lets all read', () => {
  test('a new folder, the catalog, its side files and files are private', async () => {
    const parent = await makeTempFolder();
    const dataDir = join(parent, 'new', 'data');
    const service = await startService({ dataDir });
    onTestFinished(() => service.stop());
    await putFile(service.url, 'published', { filename: 'a.txt' });
    expect((await patch(await createUpload(service.url, 8), 0, 'half')).status).toBe(204);
    // The service makes its index of names beside what it answers, from the first list on.
    expect((await send('GET', `${service.url}/api/files`)).status).toBe(200);
    await expect.poll(() => readdir(dataDir)).toContain('catalog.db-names-wal');
    const modes = await modesBelow(dataDir);
    const names = ['', '-wal', '-shm', '-names', '-names-wal'].map((suffix) => `/catalog.db${suffix}`);
    expect(modes.map(([path]) => path)).toEqual(expect.arrayContaining([...names, '/files']));
    expectPrivate(modes);
  });

  test('what an earlier version left open is closed at the start', async () => {
    const dataDir = await makeTempFolder();
    const service = await startService({ dataDir });
    onTestFinished(() => service.stop());
    await service.kill('SIGKILL');
    await chmod(dataDir, 0o755);
    for (const name of await readdir(dataDir)) {
      if (name.startsWith('catalog.db')) await chmod(join(dataDir, name), 0o644);
    }
    await service.restart();
    expect(service.output()).toContain('other users of this machine can no longer read it');
    expectPrivate((await modesBelow(dataDir)).filter(([path]) => !path.startsWith('/files')));
  });

  test('so it is where the catalog is a link: its side files are beside what it leads to', async () => {
    const [dataDir, elsewhere] = [await makeTempFolder(), await makeTempFolder()];
    const service = await startService({ dataDir });
    onTestFinished(() => service.stop());
    await service.kill('SIGTERM');
    await rename(join(dataDir, 'catalog.db'), join(elsewhere, 'real.db'));
    await symlink(join(elsewhere, 'real.db'), join(dataDir, 'catalog.db'));
    await service.restart();
    await service.kill('SIGKILL');
    const names = await readdir(elsewhere);
    expect(names).toContain('real.db-wal');
    for (const name of names) await chmod(join(elsewhere, name), 0o644);
    await service.restart();
    expectPrivate((await modesBelow(elsewhere)).filter(([path]) => path !== ''));
  });

  test('a folder that is shared on purpose stays so, and so does what is beside the catalog', async () => {
    const shared = await makeTempFolder();
    await chmod(shared, 0o1777);
    await mkdir(join(shared, 'db'), { mode: 0o755 });
    await writeFile(join(shared, 'db', 'of-others'), '');
    await chmod(join(shared, 'db', 'of-others'), 0o644);
    await chmod(join(shared, 'db'), 0o755);
    const service = await startService({
      dataDir: shared,
      env: { DATABASE_URL: `sqlite:${join(shared, 'db', 'c.db')}` },
    });
    onTestFinished(() => service.stop());
    const modes = new Map(await modesBelow(shared));
    expect(modes.get('')).toBe('d1777');
    expect(modes.get('/db')).toBe('d755');
    expect(modes.get('/db/of-others')).toBe('-644');
    expect(modes.get('/db/c.db')).toBe('-600');
  });
});
