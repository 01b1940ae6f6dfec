/** A service in this process, with what a test hands in in place of the machine's and the configured. */
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';
import { type Overrides, startService } from '../../server/service.ts';
import { createMemoryDisk } from '../../stores/memory/disk.ts';
import { createFaults } from '../../stores/memory/faults.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';

const bytes = makeBytes(70_000, 6);
const TUS = { 'Tus-Resumable': '1.0.0' };

async function start(overrides: Overrides): Promise<string> {
  const config = parseConfig({ DATA_DIR: await makeTempFolder(), HTTP_PORT: '0', DIGESTS: 'md5' });
  const service = await startService(config, pino({ level: 'silent' }), overrides);
  onTestFinished(() => service.stop());
  return service.localUrl;
}

function create(url: string, body: Buffer): Promise<Response> {
  const headers = { ...TUS, 'Upload-Length': String(bytes.length), 'Content-Type': 'application/offset+octet-stream' };
  return fetch(`${url}/uploads`, { method: 'POST', headers, body });
}

test('ids, times and expiry are those of the surroundings that were handed in', async () => {
  const surroundings = createVirtualSurroundings(7);
  const same = createVirtualSurroundings(7);
  const url = await start({ surroundings });
  // Jobs draw, too, in between: an id may begin at any byte of what the seed gives.
  const drawn = same.randomHex(1000);
  const idsOfSeed = Array.from({ length: 900 }, (_, at) =>
    drawn.slice(2 * at, 2 * at + 32).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5'),
  );
  const created = await create(url, bytes.subarray(0, 1000));
  const location = created.headers.get('Location') ?? '';
  expect(idsOfSeed).toContain(location.split('/').at(-1));
  const expires = Date.parse(created.headers.get('Upload-Expires') ?? '');
  await surroundings.advance(expires - surroundings.wallMs() + 120_000);
  // The job runs by its own timer.
  await expect.poll(async () => (await fetch(location, { method: 'HEAD', headers: TUS })).status).toBe(410);
});

test('over a store in memory, an answer that was lost while the file was made final does no harm', async () => {
  const faults = createFaults();
  const disk = createMemoryDisk();
  const url = await start({
    openOtherStore: async ({ now, surroundings }) => openMemoryStore({ disk, now, surroundings, faults }),
  });
  const order = faults.order({ call: 'finalize', at: 'after', error: 'unavailable' });
  const failed = await create(url, bytes);
  expect([failed.status, order.hasFired]).toEqual([503, true]);
  const created = await create(url, bytes);
  expect(created.status).toBe(201);
  const answer = await fetch(`${url}/files/${md5(bytes)}`);
  expect(md5(Buffer.from(await answer.arrayBuffer()))).toBe(md5(bytes));
});
