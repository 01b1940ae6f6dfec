/** The buckets on which whole-system tests run a service: a real Ceph, and a strict double of OSS. */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  NoSuchKey,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { PART } from './part.ts';
import { CEPH_MISSING, startRgw } from './rgw.ts';
import { isCephShared, openSharedRgw, type RgwBucket } from './shared-ceph.ts';
import { createOssClient } from './oss/client.ts';
import { RESOLVE_HERE } from './oss/lookup-here.ts';
import { type OssOptions, startOss } from './oss/oss.ts';

/** `S3_PREFIX` of the services. */
export const PREFIX = 'files/';
/** The object below a prefix that holds the id of the catalog to which the prefix belongs. */
export const MARK = '.tidemark-id';

export interface SystemBucket {
  /** Settings of a service on it. @param port - of a proxy in front of it. */
  env(port?: number): NodeJS.ProcessEnv;
  readonly port: number;
  /** Keys of all objects under a prefix, relative to it, without the mark of the catalog. */
  keys(prefix?: string): Promise<string[]>;
  /** Keys of multipart uploads that were neither completed nor aborted. */
  multiparts(): Promise<string[]>;
  /** Whether the provider has a call that lists multipart uploads. */
  readonly listsMultiparts: boolean;
  /** Kills its gateway (SIGKILL) and starts it again. Missing where other tests share the gateway. */
  restartGateway?(): Promise<void>;
  /** Removes one object. */
  remove(key: string): Promise<void>;
  /** Replaces the bytes of an object. */
  overwrite(key: string, change: (bytes: Buffer) => Buffer): Promise<void>;
  /** The mark of the catalog to which a prefix belongs; undefined where there is none. */
  mark(prefix?: string): Promise<string | undefined>;
  /** Removes all objects, and the mark. */
  empty(): Promise<void>;
  stop(): Promise<void>;
}

/** Within a test run: a new bucket of the Ceph that all test files share. Otherwise a Ceph of its own. */
async function startCeph(): Promise<SystemBucket> {
  if (isCephShared()) return openCeph(await openSharedRgw());
  const rgw = await startRgw({ leastPartBytes: PART });
  return {
    ...openCeph(rgw),
    restartGateway: async () => {
      await rgw.kill('rgw');
      await rgw.restart();
    },
  };
}

function openCeph(rgw: RgwBucket): SystemBucket {
  const client = createClient({ endpoint: rgw.endpoint, region: rgw.region, forcePathStyle: true, credentials: rgw });
  return {
    port: rgw.port,
    env: (port = rgw.port) => ({
      STORE: 'ceph',
      S3_ENDPOINT: `http://127.0.0.1:${port}`,
      S3_BUCKET: rgw.bucket,
      S3_PREFIX: PREFIX,
      S3_ACCESS_KEY_ID: rgw.accessKeyId,
      S3_SECRET_ACCESS_KEY: rgw.secretAccessKey,
      S3_PART_BYTES: String(PART),
    }),
    keys: async (prefix = PREFIX) => (await listKeys(client, rgw.bucket, prefix)).filter((key) => key !== MARK),
    mark: (prefix = PREFIX) => readMark(client, rgw.bucket, prefix + MARK),
    multiparts: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: rgw.bucket }));
      return Uploads.map(({ Key = '' }) => Key);
    },
    listsMultiparts: true,
    remove: async (key) => {
      await client.send(new DeleteObjectCommand({ Bucket: rgw.bucket, Key: key }));
    },
    overwrite: (key, change) => overwrite(client, rgw.bucket, key, change),
    empty: () => removeAll(client, rgw.bucket),
    stop: () => rgw.stop(),
  };
}

/** The double of OSS. */
export async function startDouble(options: OssOptions = {}): Promise<SystemBucket> {
  const oss = await startOss(options);
  const client = createOssClient(oss);
  return {
    port: oss.port,
    env: (port = oss.port) => ({
      STORE: 'oss',
      S3_ENDPOINT: `http://s3.oss-${oss.region}.aliyuncs.com:${port}`,
      S3_BUCKET: oss.bucket,
      S3_PREFIX: PREFIX,
      S3_ACCESS_KEY_ID: oss.accessKeyId,
      S3_SECRET_ACCESS_KEY: oss.secretAccessKey,
      S3_PART_BYTES: String(PART),
      NODE_OPTIONS: `--import=${RESOLVE_HERE}`,
    }),
    keys: async (prefix = PREFIX) => (await listKeys(client, oss.bucket, prefix)).filter((key) => key !== MARK),
    mark: (prefix = PREFIX) => readMark(client, oss.bucket, prefix + MARK),
    multiparts: async () => oss.uploads().map(({ key }) => key),
    listsMultiparts: false,
    remove: async (key) => {
      await client.send(new DeleteObjectCommand({ Bucket: oss.bucket, Key: key }));
    },
    overwrite: (key, change) => overwrite(client, oss.bucket, key, change),
    empty: () => removeAll(client, oss.bucket),
    stop: () => oss.stop(),
  };
}

function createClient(config: S3ClientConfig): S3Client {
  return new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED', ...config });
}

async function listKeys(client: S3Client, bucket: string, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix })) {
    for (const { Key = '' } of page.Contents ?? []) keys.push(Key.slice(prefix.length));
  }
  return keys;
}

async function overwrite(
  client: S3Client,
  bucket: string,
  key: string,
  change: (bytes: Buffer) => Buffer,
): Promise<void> {
  const { Body, Metadata } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
  const about = Metadata === undefined ? {} : { Metadata };
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: change(bytes), ...about }));
}

async function readMark(client: S3Client, bucket: string, key: string): Promise<string | undefined> {
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return (await Body?.transformToString())?.trim();
  } catch (error) {
    if (error instanceof NoSuchKey) return undefined;
    throw error;
  }
}

async function removeAll(client: S3Client, bucket: string): Promise<void> {
  for (const key of await listKeys(client, bucket, PREFIX)) {
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: PREFIX + key }));
  }
}

/** All buckets. `missing`: why the bucket cannot be started on this machine; undefined where it can. */
export const BUCKETS: {
  name: 'Ceph' | 'OSS';
  missing: string | undefined;
  start: () => Promise<SystemBucket>;
}[] = [
  { name: 'Ceph', missing: CEPH_MISSING, start: startCeph },
  { name: 'OSS', missing: undefined, start: () => startDouble() },
];
