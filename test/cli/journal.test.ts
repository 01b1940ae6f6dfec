import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startService } from '../harness/service.ts';
import { MIB, makeClient, makeLine, until } from './support.ts';

const DAY_MS = 24 * 3_600_000;

test('the entry of an unfinished upload is kept as long as the service keeps the upload, and a week more', async () => {
  const service = await startService({ env: { UPLOAD_TTL: '30d' } });
  onTestFinished(() => service.stop());
  const line = await makeLine(service.port, 3 * MIB);
  const client = await makeClient(line.url);
  const killed = client.start(['upload', await client.makeFile('kept.bin', 6 * MIB)]);
  await until(() => line.sentBytes() > MIB);
  killed.signal('SIGKILL');
  await killed.done;

  const folder = join(client.folder, '.local/state/tidemark/uploads');
  const entries = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const [entry = 'none', ...others] = await entries();
  expect(others).toEqual([]);
  /** Removes what is too old, as every upload does. */
  async function pruneAfter(days: number): Promise<string[]> {
    const then = new Date(Date.now() - days * DAY_MS);
    await utimes(join(folder, entry), then, then);
    const { exitCode } = await client.run(['upload', await client.makeFile(`other-${days}.txt`, 10)]);
    expect(exitCode).toBe(0);
    return entries();
  }
  expect(await pruneAfter(36)).toEqual([entry]);
  expect(await pruneAfter(38)).toEqual([]);
});
