/** The buckets that whole-system tests run a service on, each a real one or as strict as one. */
import { ListObjectsV2Command, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { CEPH_MISSING, startRgw } from '../../scripts/support/rgw.ts';
import { createOssClient } from './oss/client.ts';
import { RESOLVE_HERE } from './oss/lookup-here.ts';
import { startOss } from './oss/oss.ts';

const PREFIX = 'files/';

export interface SystemBucket {
  /** Settings of a service on it, by way of a proxy where a port is given. */
  env(port?: number): NodeJS.ProcessEnv;
  readonly port: number;
  /** Keys of all objects, without the prefix. */
  keys(): Promise<string[]>;
  stop(): Promise<void>;
}

async function startCeph(): Promise<SystemBucket> {
  const rgw = await startRgw();
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
    }),
    keys: () => listKeys(client, rgw.bucket),
    stop: () => rgw.stop(),
  };
}

async function startDouble(): Promise<SystemBucket> {
  const oss = await startOss();
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
      NODE_OPTIONS: `--import=${RESOLVE_HERE}`,
    }),
    keys: () => listKeys(client, oss.bucket),
    stop: () => oss.stop(),
  };
}

function createClient(config: S3ClientConfig): S3Client {
  return new S3Client({ requestChecksumCalculation: 'WHEN_REQUIRED', ...config });
}

async function listKeys(client: S3Client, bucket: string): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: PREFIX }));
  return Contents.map(({ Key = '' }) => Key.slice(PREFIX.length));
}

/** Why one cannot be started here: undefined where it can. */
export const BUCKETS: { name: string; missing: string | undefined; start: () => Promise<SystemBucket> }[] = [
  { name: 'Ceph', missing: CEPH_MISSING, start: startCeph },
  { name: 'OSS', missing: undefined, start: startDouble },
];
