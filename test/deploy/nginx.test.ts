/** deploy/nginx in a real nginx, in front of three nodes that share the work by SERVICES. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { runCli } from '../harness/cli.ts';
import type { RunningFront } from '../harness/front.ts';
import { isHere } from '../harness/needs.ts';
import { NGINX, NGINX_MISSING, startNginx } from '../harness/nginx.ts';
import { freePort } from '../harness/ports.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase, type TestDatabase } from '../harness/shared-postgres.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, send, TUS } from '../harness/tus.ts';
import { ask } from '../http/table/ask.ts';
import { rows } from '../http/table/routes.ts';
import { nothing } from '../http/table/things.ts';
import { until } from '../system/support.ts';

const CONFIG = fileURLToPath(new URL('../../../deploy/nginx/tidemark.conf', import.meta.url));
const OWNER = { Authorization: 'Bearer annas-secret-1' };
const SPLIT = { uploads: 'uploads', files: 'files', api: 'api,page,worker' } as const;

/** What it is about is in front of the bucket: the double of OSS is the quickest to start. */
const OSS = BUCKETS.find(({ name }) => name === 'OSS');

describe.skipIf(!isHere(NGINX !== undefined, NGINX_MISSING) || !hasPostgres())('nginx in front of three nodes', () => {
  let bucket: SystemBucket;
  let database: TestDatabase;
  let nodes: Record<keyof typeof SPLIT, RunningService>;
  let nginx: RunningFront;
  let base: string;

  beforeAll(async () => {
    if (!OSS) throw new Error('no double of OSS');
    [bucket, database] = await Promise.all([OSS.start(), createDatabase()]);
    const start = (SERVICES: string): Promise<RunningService> =>
      startService({
        env: {
          ...bucket.env(),
          DATABASE_URL: database.url,
          SERVICES,
          AUTH_TOKENS: 'anna:annas-secret-1',
          TRUST_PROXY: 'loopback',
        },
      });
    // The first one makes the tables.
    const uploads = await start(SPLIT.uploads);
    const [files, api] = await Promise.all([start(SPLIT.files), start(SPLIT.api)]);
    nodes = { uploads, files, api };
    // Each upstream has a node that is dead, too.
    const dead = await freePort();
    const config = (await readFile(CONFIG, 'utf8')).replaceAll(
      /server (uploads|files|api):8080 (.*)/g,
      (_, name: keyof typeof SPLIT, rest: string) =>
        `server 127.0.0.1:${nodes[name].port} ${rest} server 127.0.0.1:${dead} ${rest}`,
    );
    nginx = await startNginx(config);
    base = `http://127.0.0.1:${nginx.plainPort}`;
  });
  afterAll(async () => {
    await nginx.stop();
    await Promise.all(Object.values(nodes).map((node) => node.stop()));
    await Promise.all([bucket.stop(), database.drop()]);
  });

  test.each(rows())('%s comes to a node that serves it', async (_, route) => {
    const { headers, ...rest } = route.ask(nothing());
    const answer = await ask(base, { method: route.method, ...rest, headers: { ...headers, ...OWNER } });
    expect(answer.code).not.toBe('not_served_here');
    expect(answer.status).not.toBe(502);
  });

  test('writes no secret of a link into its log', async () => {
    const { linkSecret } = nothing();
    for (const typed of ['/S/', '//s//', '/%73/', '/s%2F', '/below/s/']) await send('GET', base + typed + linkSecret);
    await send('GET', `${base}/s/${linkSecret}/files/1?download`);
    const log = (): Promise<string> => readFile(join(nginx.folder, 'access.log'), 'utf8');
    await expect.poll(log).toContain('"GET /s/-/files/1 HTTP/1.1" 404 ');
    for (const typed of ['/S/', '//s/', '/%73/', '/s%2F', '/below/s/'])
      expect(await log()).toContain(`"GET ${typed}- HTTP/1.1" `);
    expect(await log()).not.toContain(linkSecret);
    expect(await log()).not.toMatch(/\/s\/[\w-]{2}/);
  });

  test('hands out addresses that lead back here, and passes on no claim of a client', async () => {
    const location = await createUpload(
      base,
      1,
      {},
      { ...OWNER, 'X-Forwarded-Host': 'evil.example', Forwarded: 'host=evil.example' },
    );
    expect(location.startsWith(`${base}/uploads/`)).toBe(true);
  });

  test('a long path in the head of an answer passes', async () => {
    const path = `${`${'文'.repeat(85)}/`.repeat(15)}${'名'.repeat(80)}`;
    const location = await createUpload(base, 3, { filename: path }, OWNER);
    const headers = { ...TUS, ...OWNER, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream' };
    const sent = await send('PATCH', location, { headers, body: Buffer.from('abc') });
    expect([sent.status, sent.headers['tidemark-file-name']]).toEqual([204, encodeURIComponent(path)]);
  });

  test('bytes are with the node as they come, also of a client that waits for 100', async () => {
    const bytes = makeBytes(2_000_000, 4_310);
    const location = await createUpload(base, bytes.length, { filename: 'slow.bin', md5: md5(bytes) }, OWNER);
    const headers = {
      ...TUS,
      ...OWNER,
      'Upload-Offset': '0',
      'Content-Type': 'application/offset+octet-stream',
      'Content-Length': String(bytes.length),
    };
    const request = httpRequest(location, { method: 'PATCH', headers: { ...headers, Expect: '100-continue' } });
    request.flushHeaders();
    await once(request, 'continue');
    request.write(bytes.subarray(0, 1_000_000));
    const offset = async (): Promise<number> =>
      Number((await send('HEAD', location, { headers: { ...TUS, ...OWNER } })).headers['upload-offset']);
    await expect.poll(offset).toBe(1_000_000);
    const [answer] = (await once(request.end(bytes.subarray(1_000_000)), 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(204);
  });

  test('events are told as they happen, and go on while another node is killed; the upload goes on once it is back', async () => {
    const stream = get(`${base}/api/events`, { headers: OWNER });
    const [events] = (await once(stream, 'response')) as [IncomingMessage];
    let told = '';
    events.setEncoding('utf8').on('data', (piece: string) => (told += piece));
    await expect.poll(() => told).toContain('event: begin');

    const folder = await makeTempFolder();
    const bytes = makeBytes(20 * 1024 * 1024, 4_311);
    await writeFile(join(folder, 'large.bin'), bytes);
    const run = runCli(['upload', 'large.bin', '--chunk-size', '4MiB', '--json'], folder, {
      TIDEMARK_SERVER: base,
      TIDEMARK_TOKEN: 'annas-secret-1',
    });
    await until(
      'some of it is there',
      async () => (await database.run('select 1 from uploads where state = \'receiving\' and "offset" > 0')).length > 0,
    );
    await nodes.uploads.restart();
    const { exitCode, stderr } = await run.done;
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain('trying again');
    // Published by another node than the one that tells of it.
    await expect.poll(() => told).toContain('event: published');

    const listed = JSON.parse((await send('GET', `${base}/api/files?search=large`, { headers: OWNER })).body) as {
      files: { id: string; url: string; md5: string }[];
    };
    const [file] = listed.files;
    expect(file?.md5).toBe(md5(bytes));
    const got = await fetch(file?.url ?? '', { headers: OWNER });
    expect(md5(Buffer.from(await got.arrayBuffer()))).toBe(md5(bytes));
    await send('PATCH', `${base}/api/files/${file?.id}`, {
      headers: { ...OWNER, 'Content-Type': 'application/json' },
      body: '{"name":"another-name.bin"}',
    });
    await expect.poll(() => told).toContain('another-name.bin');
    events.destroy();
  });
});
