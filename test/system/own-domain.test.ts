/** A bucket of OSS as new accounts of the mainland have it: by a domain of its own, the public endpoint refused. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { putFile } from '../http/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { type RunningOss, startOss } from '../harness/oss/oss.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { expectBytes, listFiles } from './support.ts';

// This process follows redirects to the double of OSS.
await import(RESOLVE_HERE);

const DOMAIN = 'files.example.test';
const MIB = 1024 * 1024;

let oss: RunningOss;
let env: NodeJS.ProcessEnv;
let service: RunningService;

beforeAll(async () => {
  oss = await startOss({ publicHost: 'forbidden', ownDomain: DOMAIN });
  env = {
    STORE: 'oss',
    S3_ENDPOINT: `http://${DOMAIN}:${oss.port}`,
    S3_ENDPOINT_IS_BUCKET: 'true',
    S3_REGION: oss.region,
    S3_BUCKET: oss.bucket,
    S3_PREFIX: 'files/',
    S3_ACCESS_KEY_ID: oss.accessKeyId,
    S3_SECRET_ACCESS_KEY: oss.secretAccessKey,
    NODE_OPTIONS: `--import=${RESOLVE_HERE}`,
  };
  service = await startService({ env });
});
afterAll(async () => {
  await service.stop();
  await oss.stop();
});

/** All but the mark that says whose bucket it is. */
const stored = () => oss.objects().filter(({ key }) => !key.endsWith('.tidemark-id'));

test('keeps files, gives them back and removes them', async () => {
  for (const [seed, size] of [1000, 20 * MIB].entries()) {
    const bytes = makeBytes(size, 95 + seed);
    const { url } = await putFile(service.url, bytes, { filename: 'a.png', filetype: 'image/png' });
    await expectBytes(url, bytes);
    const part = await fetch(url, { headers: { Range: 'bytes=-5' } });
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(-5))).toBe(true);
  }
  expect(stored()).toHaveLength(2);
  expect(stored().every(({ key }) => key.startsWith('files/'))).toBe(true);
  expect(new Set(oss.requests().map(({ headers }) => headers.host))).toEqual(new Set([`${DOMAIN}:${oss.port}`]));
  for (const { id } of await listFiles(service)) await send('DELETE', `${service.url}/api/files/${id}`);
  expect(stored()).toEqual([]);
});

test('sends downloads to the domain, where a browser may show them', async () => {
  await service.restart({ DOWNLOAD: 'redirect' });
  const bytes = makeBytes(1000, 97);
  const { url } = await putFile(service.url, bytes, { filename: 'a.png', filetype: 'image/png' });
  const { headers } = await send('GET', url);
  expect(new URL(headers.location ?? '').hostname).toBe(DOMAIN);
  await expectBytes(headers.location ?? '', bytes);
  const answer = await fetch(headers.location ?? '');
  expect(answer.headers.get('content-disposition')).toBe('inline; filename="a.png"');
});

test('a start on the public endpoint says what to set, and exits with 78', async () => {
  const attempt = startService({ env: { ...env, S3_ENDPOINT: oss.endpoint, S3_ENDPOINT_IS_BUCKET: 'false' } });
  await expect(attempt).rejects.toThrow(
    /ended with 78:\nThe service cannot start: [^\n]*S3_ENDPOINT_IS_BUCKET=true \(PublicEndpointForbidden\)\n$/,
  );
});
