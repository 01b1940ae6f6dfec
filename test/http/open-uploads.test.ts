/** Unfinished uploads of one owner are bounded: `MAX_OPEN_UPLOADS`. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningService, startService } from '../harness/service.ts';
import { type Answer, patch, send, TUS } from '../harness/tus.ts';
import { bearer, filePart, putFile, sendForm } from './support.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');

let service: RunningService;
beforeAll(async () => {
  service = await startService({
    env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', MAX_OPEN_UPLOADS: '3' },
  });
});
afterAll(() => service.stop());

function begin(who: Record<string, string>): Promise<Answer> {
  return send('POST', `${service.url}/uploads`, { headers: { ...TUS, ...who, 'Upload-Length': '3' } });
}

function expectTooMany(answer: Answer): void {
  expect([answer.status, answer.code, answer.headers['retry-after']]).toEqual([429, 'too_many_uploads', '60']);
  expect(answer.body).toContain('too many unfinished uploads');
}

test('those that begin at once are counted, too; each that ends makes room', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => begin(ANNA)));
  const begun = answers.filter(({ status }) => status === 201).map(({ headers }) => String(headers.location));
  expect(begun).toHaveLength(3);
  const refused = answers.filter(({ status }) => status !== 201);
  expect(refused).toHaveLength(17);
  for (const answer of refused) expectTooMany(answer);

  // What is refused leaves nothing behind, and forms are refused in the same words, on both routes.
  for (const path of ['/upload', '/file/upload']) {
    const form = await sendForm(service.url + path, [[filePart('x.txt'), 'x'.repeat(100_000)]], ANNA);
    expectTooMany(form);
  }
  const whole = { ...TUS, ...ANNA, 'Upload-Length': '3', 'Content-Type': 'application/offset+octet-stream' };
  expectTooMany(await send('POST', `${service.url}/uploads`, { headers: whole, body: 'abc' }));
  // Others are not concerned, nor is what is under way.
  expect((await begin(BERT)).status).toBe(201);
  expect((await patch(begun[0] ?? '', 0, 'abc', ANNA)).status).toBe(204);
  await putFile(service.url, 'one place is free', { filename: 'form.txt' }, ANNA);
  expect((await begin(ANNA)).status).toBe(201);
  expectTooMany(await begin(ANNA));
  expect((await send('DELETE', begun[1] ?? '', { headers: { ...TUS, ...ANNA } })).status).toBe(204);
  const form = await sendForm(`${service.url}/upload`, [[filePart('x.txt'), 'fits']], ANNA);
  expect(form.status).toBe(200);
});

test('they are counted over a restart', async () => {
  for (let round = 0; round < 4; round++) await begin(BERT);
  await service.restart();
  expectTooMany(await begin(BERT));
});
