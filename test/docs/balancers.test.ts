/** Runs the balancers of docs/nodes.md, each in front of a node that lives and one that is dead. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BALANCERS } from '../harness/balancers.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import type { RunningFront } from '../harness/front.ts';
import { isHere } from '../harness/needs.ts';
import { freePort } from '../harness/ports.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { encodeMetadata, head, TUS } from '../harness/tus.ts';

const NAME = 'files.example.org';
const TOKEN = 'a-secret-behind-balancers';
const HEADERS = { ...TUS, Authorization: `Bearer ${TOKEN}` };
const BYTES_TYPE = { 'Content-Type': 'application/offset+octet-stream' };

const page = await readFile(fileURLToPath(new URL('../../../docs/nodes.md', import.meta.url)), 'utf8');

let service: RunningService;
let deadPort: number;
beforeAll(async () => {
  // What the balancers tell of the address counts; with PUBLIC_URL it would not be seen.
  service = await startService({ env: { AUTH_TOKENS: `alice:${TOKEN}`, TRUST_PROXY: 'loopback' } });
  deadPort = await freePort();
});
afterAll(() => service.stop());

describe.each(BALANCERS)('$name of docs/nodes.md', ({ language, start, missing, isHere: found }) => {
  describe.skipIf(!isHere(found, missing))('in front of nodes', () => {
    let balancer: RunningFront | undefined;
    beforeAll(async () => {
      const block = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1] ?? '';
      if (block.match(/10\.0\.0\.1[123]:8080/g)?.length !== 3) throw new Error('the block has not three nodes');
      balancer = await start(
        block
          .replaceAll(/10\.0\.0\.11:8080/g, `127.0.0.1:${deadPort}`)
          .replaceAll(/10\.0\.0\.1[23]:8080/g, `127.0.0.1:${service.port}`),
      );
    });
    afterAll(() => balancer?.stop());

    function begin(method: string, path: string, headers: Record<string, string>): ClientRequest {
      const where = { host: '127.0.0.1', port: balancer?.port, servername: NAME, rejectUnauthorized: false };
      const request = httpsRequest({ ...where, method, path, agent: false, headers: { Host: NAME, ...headers } });
      return request;
    }

    async function ask(method: string, path: string, headers: Record<string, string>, body: Buffer = Buffer.alloc(0)) {
      const length = method === 'GET' || method === 'HEAD' ? {} : { 'Content-Length': String(body.length) };
      const [answer] = (await once(begin(method, path, { ...length, ...headers }).end(body), 'response')) as [
        IncomingMessage,
      ];
      return { status: answer.statusCode, headers: answer.headers, body: await buffer(answer) };
    }

    async function create(length: number, metadata: Record<string, string>): Promise<string> {
      const about = { 'Upload-Length': String(length), 'Upload-Metadata': encodeMetadata(metadata) };
      const { status, headers } = await ask('POST', '/uploads', { ...HEADERS, ...about });
      expect(status).toBe(201);
      expect(headers.location).toMatch(new RegExp(`^https://${NAME}/uploads/[\\w-]+$`));
      return new URL(headers.location ?? '').pathname;
    }

    test('has bytes stored as they come, keeps them when the line breaks, and sends them back as they are', async () => {
      const bytes = makeBytes(5_000_000, language.length);
      const path = await create(bytes.length, { filename: language });
      const patch = { ...HEADERS, ...BYTES_TYPE };
      const request = begin('PATCH', path, { ...patch, 'Upload-Offset': '0', 'Content-Length': String(bytes.length) });
      request.on('error', () => undefined);
      request.write(bytes.subarray(0, 2_000_000));
      const offset = async (): Promise<number> =>
        Number((await head(service.url + path, HEADERS)).headers['upload-offset']);
      await expect.poll(offset).toBe(2_000_000);
      request.destroy();
      const rest = await ask('PATCH', path, { ...patch, 'Upload-Offset': '2000000' }, bytes.subarray(2_000_000));
      expect(rest.status).toBe(204);
      const file = new URL(String(rest.headers['tidemark-file-url'])).pathname;
      const got = await ask('GET', file, { ...HEADERS, 'Accept-Encoding': 'gzip' });
      expect([got.headers['content-length'], md5(got.body)]).toEqual([String(bytes.length), md5(bytes)]);
    });

    test('tells events as they happen', async () => {
      const [events] = (await once(begin('GET', '/api/events', HEADERS).end(), 'response')) as [IncomingMessage];
      let told = '';
      events.setEncoding('utf8').on('data', (piece: string) => (told += piece));
      await expect.poll(() => told).toContain('event: begin');
      await create(0, { filename: `event-of-${language}` });
      await expect.poll(() => told).toContain(`event-of-${language}`);
      events.destroy();
    });

    test('takes as many labels as the service does, and no claim of a client about its own address', async () => {
      const claims = { Forwarded: 'host=evil.example', 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Prefix': '/e' };
      const metadata = encodeMetadata({ filename: 'many-labels', note: 'x'.repeat(6_120) });
      expect(metadata.length).toBe(8_191);
      const about = { 'Upload-Length': '1', 'Upload-Metadata': metadata };
      const { status, headers } = await ask('POST', '/uploads', { ...HEADERS, ...about, ...claims });
      expect(status).toBe(201);
      expect(headers.location).toMatch(new RegExp(`^https://${NAME}/uploads/`));
    });

    test('lets nobody notice the node that is dead', async () => {
      const answers = await Promise.all(
        Array.from({ length: 24 }, (_, i) => ask('POST', '/uploads', { ...HEADERS, 'Upload-Length': String(i + 1) })),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    });
  });
});
