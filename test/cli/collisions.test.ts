/** Other bytes with the same MD5: the command never resumes an upload of them. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createUpload, head, patch } from '../harness/tus.ts';
import { MIB, makeClient, makeInterceptor, makeLine, until } from './support.ts';

describe('other bytes with the same MD5', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  async function bytesAt(url: string): Promise<string> {
    return sha256(new Uint8Array(await (await fetch(url)).arrayBuffer()));
  }

  test('half of its twin is here: the file is sent from its first byte, and the twin stays as it was', async () => {
    const suffix = makeBytes(6 * MIB, 71);
    const line = await makeLine(service.port, 2 * MIB);
    const client = await makeClient(line.url);
    const first = await client.makeFile('a.bin', Buffer.concat([COLLIDING[0], suffix]));
    const second = await client.makeFile('b.bin', Buffer.concat([COLLIDING[1], suffix]));
    const begun = client.start(['upload', first]);
    await until(() => line.sentBytes() > 3 * MIB);
    begun.signal('SIGKILL');
    await begun.done;
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);

    const sent = await client.run(['upload', '--json', second]);
    expect(sent.records()).toMatchObject([{ status: 'uploaded', resumedFrom: 0 }]);
    expect(await bytesAt(sent.records()[0]?.url ?? '')).toBe(sha256(await readFile(second)));
    const rest = await client.run(['upload', '--json', first]);
    expect(rest.records()).toMatchObject([{ status: 'uploaded' }]);
    expect(rest.records()[0]?.resumedFrom).toBeGreaterThan(0);
    expect(await bytesAt(rest.records()[0]?.url ?? '')).toBe(sha256(await readFile(first)));
  });

  test.each(['another', 'no'])('an upload that declared %s SHA-256 is not resumed, whoever names it', async (what) => {
    const suffix = makeBytes(2 * MIB, what.length);
    const [a, b] = [Buffer.concat([COLLIDING[0], suffix]), Buffer.concat([COLLIDING[1], suffix])];
    const declared = { md5: md5(a), filename: 'a.bin', ...(what === 'no' ? {} : { sha256: sha256(a) }) };
    const location = await createUpload(service.url, a.length, declared);
    await patch(location, 0, a.subarray(0, MIB));
    // As a service says it that goes by the MD5 alone.
    const url = await offersToResume(service.url, { url: location, offset: MIB, length: a.length });
    const client = await makeClient(url);
    const run = await client.run(['upload', '--json', await client.makeFile('b.bin', b)]);
    expect(run.records()).toMatchObject([{ status: 'uploaded', resumedFrom: 0 }]);
    expect(await bytesAt(`${service.url}${new URL(run.records()[0]?.url ?? '').pathname}`)).toBe(sha256(b));
    expect((await head(location)).headers['upload-offset']).toBe(String(MIB));
  });

  test('what someone else began of the same bytes is compared by its SHA-256 once it is whole', async () => {
    const suffix = makeBytes(3 * MIB, 73);
    const [a, b] = [Buffer.concat([COLLIDING[0], suffix]), Buffer.concat([COLLIDING[1], suffix])];
    // It says that it is b, and has sent a.
    const declared = { md5: md5(b), sha256: sha256(b), filename: 'b.bin' };
    const location = await createUpload(service.url, b.length, declared);
    await patch(location, 0, a.subarray(0, MIB));
    const url = await offersToResume(service.url, { url: location, offset: MIB, length: a.length });
    const client = await makeClient(url);
    const run = await client.run(['upload', '--json', await client.makeFile('b.bin', b)]);
    expect(run.records()).toMatchObject([{ status: 'failed', error: { code: 'digest_differs' } }]);
  });

  test('nor when an earlier run of the command resumed it, and was killed', async () => {
    const suffix = makeBytes(6 * MIB, 74);
    const [a, b] = [Buffer.concat([COLLIDING[0], suffix]), Buffer.concat([COLLIDING[1], suffix])];
    // It says that it is b, and has sent a.
    const declared = { md5: md5(b), sha256: sha256(b), filename: 'b.bin' };
    const location = await createUpload(service.url, b.length, declared);
    await patch(location, 0, a.subarray(0, MIB));
    const line = await makeLine(service.port, 2 * MIB);
    // As after its sender is gone.
    const url = await offersToResume(line.url, { url: location, offset: MIB, length: a.length });
    const client = await makeClient(url);
    const path = await client.makeFile('b.bin', b);
    const killed = client.start(['upload', path]);
    await until(() => line.sentBytes() > 2 * MIB);
    killed.signal('SIGKILL');
    await killed.done;
    // What the line still holds does not arrive.
    line.cut();
    line.setSpeed(Infinity);
    const run = await client.run(['upload', '--json', path]);
    expect(run.records()).toMatchObject([{ status: 'failed', error: { code: 'digest_differs' } }]);
  });
});

/** A proxy in front of a service which answers `/check` that this upload can be resumed. */
function offersToResume(serviceUrl: string, resume: { url: string; offset: number; length: number }): Promise<string> {
  return makeInterceptor(serviceUrl, ({ url: path }) => {
    if (path?.startsWith('/check') !== true || !path.includes('filename')) return null;
    return { status: 200, body: { status: 'notfound', resume } };
  });
}
