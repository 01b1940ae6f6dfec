/** Names as they come back; what is taken by which route is in table/names-and-labels.test.ts. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService, type RunningService } from '../harness/service.ts';
import { createUpload, patch, send, TUS } from '../harness/tus.ts';
import { json } from './support.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

test('a name that is not UTF-8 is made readable', async () => {
  const answer = await send('POST', `${service.url}/uploads`, {
    headers: {
      ...TUS,
      'Upload-Length': '3',
      'Upload-Metadata': `filename ${Buffer.from('caf\u00e9.txt', 'latin1').toString('base64')}`,
      'Content-Type': 'application/offset+octet-stream',
    },
    body: 'abc',
  });
  expect(answer.status, answer.body).toBe(201);
  const path = `/api/files/${String(answer.headers['tidemark-file-id'])}`;
  expect(json(await send('GET', service.url + path))['name']).toBe('caf\ufffd.txt');
});

test('a name of 255 Chinese characters is downloaded as it is', async () => {
  const name = `${'潮'.repeat(251)}.txt`;
  const location = await createUpload(service.url, 3, { filename: name });
  const done = await patch(location, 0, 'abc');
  const answer = await send('GET', String(done.headers['tidemark-file-url']));
  expect([answer.status, answer.body]).toEqual([200, 'abc']);
  expect(answer.headers['content-disposition']).toContain(encodeURIComponent(name));
});
