/** An upload whose bytes are here already is folded in without reading either side. */
import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { inCatalog } from '../harness/catalog-file.ts';
import { LOCAL, type StoredService } from '../harness/stores.ts';
import { createUpload, patch, send } from '../harness/tus.ts';
import { expectBytes, listFiles } from './support.ts';

const MIB = 1024 * 1024;

async function start(): Promise<StoredService> {
  // SHA-1 would be computed from the stored bytes meanwhile.
  const service = await LOCAL.startService({ DIGESTS: 'md5' });
  onTestFinished(() => service.stop());
  return service;
}

/** Sends a file, in two requests. @returns how often the service has read its bytes, from sockets and files together. */
async function sendCounting(service: StoredService, bytes: Buffer, filename: string): Promise<number> {
  const location = await createUpload(service.url, bytes.length, { filename });
  const read = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${service.pid}/io`, 'utf8'))?.[1]);
  const before = read();
  const half = Math.floor(bytes.length / 2) + 11;
  expect((await patch(location, 0, bytes.subarray(0, half))).status).toBe(204);
  expect((await patch(location, half, bytes.subarray(half))).status).toBe(204);
  return Math.round((read() - before) / bytes.length);
}

function proofsIn(service: StoredService): (string | null)[] {
  return inCatalog(service.dataDir, 'SELECT proof FROM contents ORDER BY id').map(
    ({ proof }) => proof as string | null,
  );
}

async function change(service: StoredService, statement: string): Promise<(string | null)[]> {
  await service.kill('SIGTERM');
  const before = proofsIn(service);
  inCatalog(service.dataDir, statement);
  await service.restart();
  return before;
}

async function expectOne(service: StoredService, bytes: Buffer, files: number): Promise<void> {
  const listed = await listFiles(service);
  expect(listed).toHaveLength(files);
  for (const { url } of listed) await expectBytes(url, bytes);
  expect(await service.contents()).toHaveLength(1);
  expect(await service.unfinished()).toEqual([]);
}

describe('over local', () => {
  test('equal bytes are read from the socket, and from nowhere else', async () => {
    const service = await start();
    const bytes = makeBytes(4 * MIB, 71);
    for (let file = 1; file <= 3; file++) expect(await sendCounting(service, bytes, `${file}.bin`)).toBe(1);
    await expectOne(service, bytes, 3);
    await service.restart();
    expect(await sendCounting(service, bytes, '4.bin')).toBe(1);
    await expectOne(service, bytes, 4);
  });

  test.each([
    { what: 'without a proof', statement: 'UPDATE contents SET proof = NULL' },
    { what: 'whose key is lost', statement: "DELETE FROM meta WHERE key = 'proof_secret'" },
  ])('a content $what is compared once, and then has a proof', async ({ statement }) => {
    const service = await start();
    const bytes = makeBytes(4 * MIB, 72);
    await sendCounting(service, bytes, '1.bin');
    const [first] = await change(service, statement);
    // Both sides are read.
    expect(await sendCounting(service, bytes, '2.bin')).toBe(3);
    expect(await sendCounting(service, bytes, '3.bin')).toBe(1);
    await expectOne(service, bytes, 3);
    await service.kill('SIGTERM');
    const [second] = proofsIn(service);
    expect([first, second].map((proof) => proof?.length)).toEqual([40, 40]);
    expect(second === first).toBe(statement.startsWith('UPDATE'));
  });

  test('an equal proof of other bytes than the MD5 says counts for nothing', async () => {
    const service = await start();
    const [bytes, other] = [makeBytes(MIB, 73), makeBytes(MIB, 74)];
    await sendCounting(service, bytes, '1.bin');
    const [proof] = await change(service, 'UPDATE contents SET proof = NULL');
    await sendCounting(service, other, '2.bin');
    await change(service, `UPDATE contents SET proof = '${proof}'`);
    await sendCounting(service, bytes, '3.bin');
    const listed = await listFiles(service);
    for (const { name, url } of listed) await expectBytes(url, name === '2.bin' ? other : bytes);
    expect(await service.contents()).toHaveLength(2);
    expect((await send('GET', `${service.url}/files/${md5(bytes)}-1`)).status).toBe(404);
  });

  test('no answer, header, event or line of the log has a proof', async () => {
    const service = await start();
    const bytes = makeBytes(MIB, 75);
    const told: string[] = [];
    for (const name of ['1.bin', '2.bin']) {
      const location = await createUpload(service.url, bytes.length, { filename: name });
      const answer = await patch(location, 0, bytes);
      told.push(JSON.stringify(answer.headers), (await send('GET', `${service.url}/api/files`)).body);
      told.push((await send('GET', `${service.url}/check?md5=${md5(bytes)}`)).body);
    }
    await service.kill('SIGTERM');
    const [proof = ''] = proofsIn(service);
    expect(proof).toMatch(/^[\da-f]{40}$/);
    const [{ value } = {}] = inCatalog(service.dataDir, "SELECT value FROM meta WHERE key = 'proof_secret'");
    for (const secret of [proof ?? '', (proof ?? '').slice(8), String(value)]) {
      expect([...told, service.output()].join('\n')).not.toContain(secret);
    }
  });
});
