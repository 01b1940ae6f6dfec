/** The steps on whole objects: put, get, range, Content-MD5, presigned address, delete, and the time that calls take. */
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import contentDisposition from 'content-disposition';
import { codeOf, statusOf } from '../errors.ts';
import { addHeaders } from '../objects.ts';
import { type Finding, type Step, StepError } from '../../section.ts';
import { isMd5, makeSample, type Sample, type Target } from './target.ts';

const SAMPLE_BYTES = 1000;
const FILE_NAME = 'Tide ä 潮.bin';
/** The value in ASCII, as metadata has to be; the key with a hyphen, as OSS closes the connection on underscores. */
const METADATA = { 'file-name': encodeURIComponent(FILE_NAME) };
const RANGE = { start: 100, end: 299 };
const PRESIGNED_SECONDS = 60;
const PRESIGNED_TIMEOUT_MS = 15_000;
const TIMED_CALLS = 10;
/** RGW's small answers take 40 ms and more without its setting `tcp_nodelay`. */
const SLOW_CALL_MS = 35;

export function objectSteps(target: Target): Step[] {
  const key = `${target.folder}object`;
  const damagedKey = `${target.folder}damaged`;
  const sample = makeSample(SAMPLE_BYTES);
  return [
    {
      name: 'put',
      tried: `PutObject of ${SAMPLE_BYTES} bytes with Content-MD5`,
      needs: ['bucket'],
      run: () => put(target, key, sample),
    },
    { name: 'get', tried: 'GetObject', needs: ['put'], run: () => get(target, key, sample) },
    {
      name: 'range',
      tried: `GetObject of bytes ${RANGE.start}-${RANGE.end}`,
      needs: ['put'],
      run: () => getRange(target, key, sample),
    },
    {
      name: 'Content-MD5',
      tried: 'PutObject with a wrong Content-MD5',
      needs: ['put'],
      run: () => expectDamageRefused(() => put(target, damagedKey, { ...sample, ...wrongMd5() })),
    },
    {
      name: 'presigned',
      tried: 'GET of a presigned address with a file name',
      needs: ['put'],
      run: () => getPresigned(target, key, sample),
    },
    { name: 'time', tried: `HeadObject, ${TIMED_CALLS} times`, needs: ['put'], run: () => timeCalls(target, key) },
    { name: 'delete', tried: 'DeleteObject, and HeadObject after it', needs: ['put'], run: () => remove(target, key) },
  ];
}

async function put(target: Target, key: string, { bytes, md5, md5Base64 }: Sample): Promise<Finding> {
  const { client, bucket: Bucket, made } = target;
  made.keys.add(key);
  const command = new PutObjectCommand({
    Bucket,
    Key: key,
    Body: bytes,
    ContentLength: bytes.length,
    ContentMD5: md5Base64,
    Metadata: METADATA,
  });
  const { ETag } = await target.call((options) => client.send(command, options), bytes.length);
  return { found: `stored; its ETag is ${isMd5(ETag, md5) ? 'its MD5' : `${ETag ?? 'missing'}, not its MD5`}` };
}

/** An MD5 that does not match the sample: that of other bytes. */
export function wrongMd5(): Pick<Sample, 'md5' | 'md5Base64'> {
  const { md5, md5Base64 } = makeSample(1);
  return { md5, md5Base64 };
}

/**
 * Checks that the provider refuses bytes that do not match their Content-MD5, as if they were damaged on the way.
 *
 * @param attempt - sends such bytes.
 * @throws StepError where the provider accepts them.
 */
export async function expectDamageRefused(attempt: () => Promise<unknown>): Promise<Finding> {
  try {
    await attempt();
  } catch (error) {
    if (!codeOf(error).endsWith('Digest')) throw error;
    return { found: `refused, as it should be: ${statusOf(error)} ${codeOf(error)}` };
  }
  throw new StepError(
    'accepted',
    'nothing there would notice bytes that are damaged on the way: use a store that checks Content-MD5',
  );
}

async function get(target: Target, key: string, { bytes }: Sample): Promise<Finding> {
  const { client, bucket: Bucket } = target;
  const received = await target.call(async (options) => {
    const { Body, Metadata } = await client.send(new GetObjectCommand({ Bucket, Key: key }), options);
    return { bytes: await Body?.transformToByteArray(), fileName: Metadata?.['file-name'] };
  });
  expectBytes(received.bytes, bytes);
  if (received.fileName !== METADATA['file-name']) {
    throw new StepError('the same bytes, but not their metadata', 'see whether a proxy drops x-amz-meta-* headers');
  }
  return { found: 'the same bytes and metadata' };
}

async function getRange(target: Target, key: string, { bytes }: Sample): Promise<Finding> {
  const { client, bucket: Bucket, preset } = target;
  const { start, end } = RANGE;
  const command = new GetObjectCommand({ Bucket, Key: key, Range: `bytes=${start}-${end}` });
  addHeaders(command, preset.rangeHeaders);
  const { status, received } = await target.call(async (options) => {
    const { Body, $metadata } = await client.send(command, options);
    return { status: $metadata.httpStatusCode, received: await Body?.transformToByteArray() };
  });
  if (status !== 206) {
    throw new StepError(`${status} with ${received?.length} bytes`, 'see whether a proxy drops the Range header');
  }
  expectBytes(received, bytes.subarray(start, end + 1));
  return { found: `206 with ${received?.length} bytes, the right ones` };
}

function expectBytes(received: Uint8Array | undefined, expected: Uint8Array): void {
  if (received && Buffer.compare(received, expected) === 0) return;
  throw new StepError(
    `${received?.length} bytes, which are not those that were stored (${expected.length})`,
    'do not use this store: see whether a proxy changes what passes',
  );
}

async function getPresigned(target: Target, key: string, { bytes }: Sample): Promise<Finding> {
  const { client, bucket: Bucket } = target;
  // The provider turns this query parameter into a header, so it has to be ASCII.
  const disposition = contentDisposition(FILE_NAME, { fallback: 'Tide.bin' });
  const command = new GetObjectCommand({ Bucket, Key: key, ResponseContentDisposition: disposition });
  // The address grants access to the object: never show it.
  const url = new URL(await getSignedUrl(client, command, { expiresIn: PRESIGNED_SECONDS }));
  const request = (url.protocol === 'https:' ? httpsGet : httpGet)(url, {
    agent: false,
    signal: AbortSignal.timeout(PRESIGNED_TIMEOUT_MS),
  });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const received = await buffer(answer);
  if (answer.statusCode !== 200) {
    const code = /<Code>([A-Za-z]+)<\/Code>/.exec(received.toString())?.[1] ?? '';
    throw new StepError(`${answer.statusCode} ${code}`.trim(), 'presigned addresses do not work there');
  }
  expectBytes(received, bytes);
  if (answer.headers['content-disposition'] !== disposition) {
    throw new StepError('the bytes, without the file name', 'response-content-disposition has no effect there');
  }
  return { found: 'the same bytes, with the file name' };
}

async function timeCalls(target: Target, key: string): Promise<Finding> {
  const { client, bucket: Bucket } = target;
  const times: number[] = [];
  for (let call = 0; call < TIMED_CALLS; call++) {
    const begun = performance.now();
    await target.call((options) => client.send(new HeadObjectCommand({ Bucket, Key: key }), options));
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  const median = times[TIMED_CALLS / 2] ?? 0;
  const found = `${median.toFixed(1)} ms each, ${times.at(-1)?.toFixed(1)} ms the slowest`;
  if (target.preset.name !== 'ceph' || median < SLOW_CALL_MS) return { found };
  return { found, note: true, change: 'where the line is not that long, set tcp_nodelay=1 in rgw_frontends' };
}

async function remove(target: Target, key: string): Promise<Finding> {
  const { client, bucket: Bucket, made } = target;
  await target.call((options) => client.send(new DeleteObjectCommand({ Bucket, Key: key }), options));
  try {
    await target.call((options) => client.send(new HeadObjectCommand({ Bucket, Key: key }), options));
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    made.keys.delete(key);
    return { found: 'gone' };
  }
  throw new StepError('it is still there', 'see whether the bucket keeps or locks its objects');
}
