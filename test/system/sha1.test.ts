/** A file is found by its SHA-1 as soon as it is published, though that is computed later, also by a process that begins after. */
import { createHash } from 'node:crypto';
import { realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { IS_LINUX } from '../harness/needs.ts';
import { slowReads } from '../harness/slow-reads.ts';
import { LOCAL, type StoredService } from '../harness/stores.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type Answer, createUpload, patch, send } from '../harness/tus.ts';
import { expectBytes } from './support.ts';

/** How long each read of stored bytes takes: a test asks for a SHA-1 while it is being computed. */
const READ_MS = 300;

/** A service that reads stored bytes slowly. The files are known by what Linux tells of a descriptor (proc(5)). */
async function start(env: NodeJS.ProcessEnv): Promise<StoredService> {
  const folder = await realpath(await makeTempFolder());
  const slow = IS_LINUX ? { NODE_OPTIONS: slowReads(join(folder, 'files'), READ_MS) } : {};
  const service = await LOCAL.startService({ ...env, ...slow }, folder);
  onTestFinished(() => service.stop());
  return service;
}

function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

async function publish(service: StoredService, bytes: Buffer, filename: string): Promise<void> {
  const location = await createUpload(service.url, bytes.length, { filename });
  expect((await patch(location, 0, bytes)).status).toBe(204);
}

function metaOf(service: StoredService, bytes: Buffer): Promise<Answer> {
  return send('GET', `${service.url}/file/meta?filehash=${sha1(bytes)}`);
}

test('whoever asks at once is told, by every route that takes a SHA-1', async () => {
  const service = await start({ DIGESTS: 'md5,sha1' });
  const files = Array.from({ length: 5 }, (_, index) => makeBytes(20_000, 80 + index)) as [Buffer, Buffer, ...Buffer[]];
  for (const [index, bytes] of files.entries()) {
    await publish(service, bytes, `${index}.bin`);
    const hash = sha1(bytes);
    const form = (fields: object) => ({
      body: Buffer.from(new URLSearchParams({ filehash: hash, ...fields }).toString()),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    });
    const asked = [
      () => metaOf(service, bytes),
      () => send('GET', `${service.url}/file/download?filehash=${hash}`),
      () => send('GET', `${service.url}/files/${hash}`),
      () => send('POST', `${service.url}/file/update`, form({ op: '0', filename: 'renamed.bin' })),
      () => send('POST', `${service.url}/file/delete`, form({})),
    ];
    expect((await asked[index]?.())?.status).toBe(200);
  }
});

test('a service that was killed before it computed one tells it after its start', async () => {
  // As if it had been killed right after the publication: this one computes none.
  const service = await start({ DIGESTS: 'md5' });
  const bytes = makeBytes(20_000, 90);
  await publish(service, makeBytes(20_000, 91), 'other.bin');
  await publish(service, bytes, 'mine.bin');
  await service.restart({ DIGESTS: 'md5,sha1' });
  const meta = await metaOf(service, bytes);
  expect(JSON.parse(meta.body)).toMatchObject({ FileSha1: sha1(bytes), FileName: 'mine.bin' });
  await expectBytes(`${service.url}/files/${sha1(bytes)}`, bytes);

  const killed = makeBytes(20_000, 92);
  await publish(service, killed, 'killed.bin');
  await service.restart();
  expect((await metaOf(service, killed)).status).toBe(200);
});

test('one that cannot be computed is answered as one that is not here', async () => {
  const service = await start({ DIGESTS: 'md5' });
  const bytes = makeBytes(1_000, 93);
  await publish(service, bytes, 'lost.bin');
  await rm(join(service.dataDir, 'files', `${md5(bytes)}.bin`));
  await service.restart({ DIGESTS: 'md5,sha1' });
  const lost = await metaOf(service, bytes);
  expect([lost.status, lost.code]).toEqual([404, 'not_found']);
});
