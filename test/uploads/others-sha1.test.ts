/** The SHA-1 of a content that other owners have: an owner is told it no sooner than that of a new content. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';
import { createLog } from '../../server/log.ts';
import { type Service, startService } from '../../server/service.ts';
import { cursorNow, eventsIn, listen } from '../http/event-stream.ts';
import { bearer, filePart, json, putFile, sendForm } from '../http/support.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { send } from '../harness/tus.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');

let folder: string;
let service: Service;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  const config = parseConfig({
    DATA_DIR: folder,
    LISTEN: '127.0.0.1',
    HTTP_PORT: '0',
    AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2',
  });
  // Nothing in the background: what is computed later is never there.
  service = await startService(config, createLog('silent'), { jobs: false });
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true });
});

function sha1(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}

/** Every place where an owner reads digests, of bytes that they have just sent. */
async function look(bytes: Buffer, name: string): Promise<(string | undefined)[]> {
  const base = service.localUrl;
  const get = (path: string): Promise<Record<string, unknown>> =>
    send('GET', base + path, { headers: BERT }).then((answer) => json(answer));
  const sent = json<{ file: { id: string; sha1?: string } }>(
    await sendForm(`${base}/upload?md5=${md5(bytes)}`, [[filePart(name), bytes]], BERT),
  );
  const listed = (await get(`/api/files?search=${name}`))['files'] as { sha1?: string }[];
  const checked = (await get(`/check?md5=${md5(bytes)}`))['file'] as { sha1?: string };
  const renamed = await send('PATCH', `${base}/api/files/${sent.file.id}`, {
    headers: { ...BERT, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: `new-${name}` }),
  });
  return [
    sent.file.sha1,
    listed[0]?.sha1,
    checked.sha1,
    json<{ sha1?: string }>(renamed).sha1,
    (await get(`/api/files/${sent.file.id}`))['sha1'] as string | undefined,
    (await get(`/file/meta?filehash=${md5(bytes)}`))['FileSha1'] as string,
  ];
}

test('it is told as late as that of what nobody has', async () => {
  const [hers, nobodys] = [makeBytes(5_000, 17_001), makeBytes(5_000, 17_002)];
  // One that is declared is computed at once, and she is told it.
  const { fileId } = await putFile(service.localUrl, hers, { filename: 'hers.bin', sha1: sha1(hers) }, ANNA);
  const described = await send('GET', `${service.localUrl}/api/files/${fileId}`, { headers: ANNA });
  expect(json(described)['sha1']).toBe(sha1(hers));

  const seen = await look(hers, 'one.bin');
  expect(seen).toEqual(await look(nobodys, 'two.bin'));
  expect(seen).toEqual([undefined, undefined, undefined, undefined, undefined, '']);
});

test('one that is declared is told at once, also of what others have without it', async () => {
  const [hers, nobodys] = [makeBytes(5_000, 17_003), makeBytes(5_000, 17_004)];
  await putFile(service.localUrl, hers, { filename: 'hers.bin' }, ANNA);
  for (const bytes of [hers, nobodys]) {
    const { fileId } = await putFile(service.localUrl, bytes, { filename: 'mine.bin', sha1: sha1(bytes) }, BERT);
    const described = await send('GET', `${service.localUrl}/api/files/${fileId}`, { headers: BERT });
    expect(json(described)['sha1']).toBe(sha1(bytes));
  }
});

/** What the events of a file tell, from its publication on: as it happened, again later, and after it is deleted. */
async function lookAtEvents(bytes: Buffer, name: string): Promise<(string | undefined)[][]> {
  const on = { url: service.localUrl };
  const before = await cursorNow(on, BERT);
  const stream = await listen(on, { ...BERT, 'Last-Event-ID': before });
  const { fileId } = await putFile(on.url, bytes, { filename: name }, BERT);
  const digestsIn = (text: string): (string | undefined)[] => eventsIn(text).map(({ data }) => data.sha1);
  await stream.until(/event: published\n/);
  const seen = [digestsIn(stream.text())];
  for (const words of [/event: published\n/, /event: deleted\n/]) {
    const again = await listen(on, { ...BERT, 'Last-Event-ID': before });
    await again.until(words);
    seen.push(digestsIn(again.text()));
    await send('DELETE', `${on.url}/api/files/${fileId}`, { headers: BERT });
  }
  return seen;
}

test('events tell it as late, also those that are told again', async () => {
  const [hers, nobodys] = [makeBytes(5_000, 17_005), makeBytes(5_000, 17_006)];
  await putFile(service.localUrl, hers, { filename: 'hers.bin', sha1: sha1(hers) }, ANNA);
  const seen = await lookAtEvents(hers, 'five.bin');
  expect(seen).toEqual(await lookAtEvents(nobodys, 'six.bin'));
  expect(seen).toEqual([[undefined], [undefined], [undefined, undefined]]);
});
