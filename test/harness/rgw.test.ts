/** The real Ceph: it answers S3 calls, keeps its data when daemons are killed, and leaves nothing behind. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CEPH_MISSING, type RunningRgw, startRgw } from './rgw.ts';
import { makeBytes, md5 } from './bytes.ts';
import { startFaultProxy } from './fault-proxy.ts';

const MIB = 1024 * 1024;

if (CEPH_MISSING !== undefined) console.warn(`skipped: ${CEPH_MISSING}`);

describe.skipIf(CEPH_MISSING !== undefined)('Ceph', () => {
  let rgw: RunningRgw;
  let client: S3Client;
  let Bucket: string;

  beforeAll(async () => {
    rgw = await startRgw();
    client = createClient(rgw.endpoint);
    Bucket = rgw.bucket;
  });

  afterAll(async () => {
    client?.destroy();
    await rgw?.stop();
  });

  function createClient(endpoint: string): S3Client {
    return new S3Client({
      endpoint,
      region: rgw.region,
      credentials: { accessKeyId: rgw.accessKeyId, secretAccessKey: rgw.secretAccessKey },
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: 1,
    });
  }

  async function digestOf(Key: string): Promise<string> {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return md5((await Body?.transformToByteArray()) ?? new Uint8Array());
  }

  /** Two parts, the second one through this client. */
  async function putParts(Key: string, through: S3Client, bytes: Buffer): Promise<void> {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = { Bucket, Key, UploadId };
    const first = await client.send(
      new UploadPartCommand({ ...part, PartNumber: 1, Body: bytes.subarray(0, 5 * MIB) }),
    );
    const put = new UploadPartCommand({ ...part, PartNumber: 2, Body: bytes.subarray(5 * MIB) });
    const second = await through.send(put).catch(() => through.send(put));
    const Parts = [first, second].map(({ ETag }, i) => ({ PartNumber: i + 1, ETag }));
    await client.send(new CompleteMultipartUploadCommand({ ...part, MultipartUpload: { Parts } }));
  }

  test('objects and parts', async () => {
    const bytes = makeBytes(6 * MIB);
    await client.send(new PutObjectCommand({ Bucket, Key: 'whole', Body: bytes }));
    await putParts('parts', client, bytes);
    expect([await digestOf('whole'), await digestOf('parts')]).toEqual([md5(bytes), md5(bytes)]);
  });

  test('through the fault proxy: signatures hold, and a lost answer is a stored part', async () => {
    const proxy = await startFaultProxy({ toPort: rgw.port });
    onTestFinished(() => proxy.stop());
    const through = createClient(proxy.url);
    onTestFinished(() => through.destroy());
    const rule = proxy.place({ operation: 'UploadPart', partNumber: 2, fault: { kind: 'loseAnswer' } });
    const bytes = makeBytes(6 * MIB, 2);
    await putParts('proxied', through, bytes);
    expect(rule.hits()).toBe(1);
    expect(proxy.calls()).toMatchObject([
      { operation: 'UploadPart', key: 'proxied', status: undefined },
      { operation: 'UploadPart', key: 'proxied', status: 200 },
    ]);
    expect(await digestOf('proxied')).toBe(md5(bytes));
  });

  test.each(['rgw', 'osd', 'mon'] as const)('%s killed and started again: everything is there', async (which) => {
    const bytes = makeBytes(MIB, 3);
    await client.send(new PutObjectCommand({ Bucket, Key: which, Body: bytes }));
    await rgw.kill(which);
    if (which === 'rgw') await expect(fetch(rgw.endpoint)).rejects.toThrow('fetch failed');
    await rgw.restart();
    expect(await digestOf(which)).toBe(md5(bytes));
    await client.send(new PutObjectCommand({ Bucket, Key: which, Body: 'again' }));
  });

  test('a second cluster beside it stops when the process that started it is killed', async () => {
    const module = new URL('./rgw.js', import.meta.url).href;
    const script = `const { startRgw } = await import('${module}'); const { folder, port } = await startRgw();
      process.stdout.write(JSON.stringify({ folder, port })); setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void owner.kill('SIGKILL'));
    const [told] = (await once(owner.stdout, 'data')) as [Buffer];
    const { folder, port } = JSON.parse(told.toString()) as { folder: string; port: number };
    expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(200);
    owner.kill('SIGKILL');
    await vi.waitFor(() => expect(existsSync(folder)).toBe(false), { timeout: 10_000 });
    await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow('fetch failed');
  });

  test('processes that share a cluster start it once and get a bucket each; it stops when its owner has exited', async () => {
    const owner = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    onTestFinished(() => void owner.kill('SIGKILL'));
    const shared = { folder: `${rgw.folder}-shared`, ownerPid: Number(owner.pid) };
    const [one, other] = await Promise.all([startRgw({ shared }), startRgw({ shared })]);
    expect(one.endpoint).toBe(other.endpoint);
    const through = createClient(one.endpoint);
    onTestFinished(() => through.destroy());
    await through.send(new PutObjectCommand({ Bucket: one.bucket, Key: 'ours', Body: 'x' }));
    await one.stop();
    const listed = await through.send(new ListObjectsV2Command({ Bucket: other.bucket }));
    expect(listed.KeyCount).toBe(0);
    owner.kill('SIGKILL');
    await vi.waitFor(() => expect(existsSync(shared.folder)).toBe(false), { timeout: 10_000 });
    await expect(fetch(one.endpoint)).rejects.toThrow('fetch failed');
  });

  test('stop removes everything', async () => {
    await rgw.stop();
    expect(existsSync(rgw.folder)).toBe(false);
    await expect(fetch(rgw.endpoint)).rejects.toThrow('fetch failed');
  });
});
