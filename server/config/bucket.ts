/** Which store the service uses (`STORE`), and the settings of a store in a bucket (`S3_*`). */
import { isIP } from 'node:net';
import type { BucketConfig, StoreConfig } from './config.ts';
import { quote } from './problems.ts';
import type { Reader } from './reader.ts';
import { parseBytes } from './units.ts';

const STORES = ['local', 's3', 'ceph', 'oss'] as const;
const DEFAULT_BUFFER_BYTES = 256 * 1024 * 1024;
/** Above every provider's smallest part, and what the library uses. */
const DEFAULT_PART_BYTES = 8 * 1024 * 1024;
/** S3: the largest part. */
const MOST_PART_BYTES = 5 * 1024 ** 3;
/** Three parts, and some overhead; and what sockets bring. */
const LEAST_BUFFER_PARTS = 4;
const LEAST_BUFFER_BYTES = 32 * 1024 * 1024;
/**
 * The smallest part that each provider may take. Ceph's default is 5 MiB, which its operator may lower.
 */
const LEAST_PART = { s3: '5MiB', ceph: '100KiB', oss: '100KiB' } as const;
const FLAGS = ['true', 'false', '1', '0', 'yes', 'no', 'on', 'off'] as const;

/** S3: bucket names. Dots are allowed, for providers that take the bucket in the path. */
const BUCKET_NAME = /^[a-z0-9](?:[a-z0-9._-]{1,61})[a-z0-9]$/;
/** OSS: keys have at most 1023 bytes, and do not begin with `/` or `\`. The service appends its own names to the prefix. */
const PREFIX = /^(?![/\\])[\x21-\x7e]{0,512}$/;

/** Reads which store, and its settings. Reports every problem to `read`. */
export function readStore(read: Reader): StoreConfig {
  const kind = read.oneOf('STORE', STORES, 'local');
  const bucket = {
    endpoint: read.optional('S3_ENDPOINT') ?? null,
    region: read.optional('S3_REGION') ?? null,
    bucket: read.text('S3_BUCKET', ''),
    prefix: read.text('S3_PREFIX', ''),
    accessKeyId: read.text('S3_ACCESS_KEY_ID', ''),
    secretAccessKey: read.text('S3_SECRET_ACCESS_KEY', ''),
    bufferBytes: read.bytes('S3_BUFFER_BYTES') ?? DEFAULT_BUFFER_BYTES,
    partBytes: read.bytes('S3_PART_BYTES') ?? DEFAULT_PART_BYTES,
    pathStyle: readPathStyle(read),
    endpointIsBucket: read.flag('S3_ENDPOINT_IS_BUCKET'),
  };
  if (kind === 'local') return { kind };
  const config: BucketConfig = { kind, ...bucket };
  checkBucket(config, read);
  checkSizes(config, read);
  if (config.endpoint === null) checkNoEndpoint(config, read);
  else checkEndpoint(config, config.endpoint, read);
  if (config.endpointIsBucket) checkOwnDomain(config, read);
  if (kind === 'oss') {
    config.region ??=
      /(?:^|\.)(?:s3\.)?oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com$/.exec(hostOf(config))?.[1] ?? null;
    checkOss(config, read);
  }
  if (config.prefix !== '' && !config.prefix.endsWith('/')) config.prefix += '/';
  return config;
}

function readPathStyle(read: Reader): boolean | null {
  if (read.optional('S3_PATH_STYLE') === undefined) return null;
  return /^(?:true|1|yes|on)$/.test(read.oneOf('S3_PATH_STYLE', FLAGS, 'false'));
}

function checkBucket({ kind, bucket, prefix, accessKeyId, secretAccessKey }: BucketConfig, read: Reader) {
  const needed = { S3_BUCKET: bucket, S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey };
  for (const [variable, value] of Object.entries(needed)) {
    if (value === '') read.problem(variable, `is needed with STORE=${kind}`);
  }
  if (bucket !== '' && !BUCKET_NAME.test(bucket)) {
    read.problem('S3_BUCKET', `must be a bucket's name alone, without scheme or path, not ${quote(bucket)}`);
  }
  if (!PREFIX.test(prefix)) {
    read.problem('S3_PREFIX', 'must be at most 512 ASCII characters without spaces, and begin with neither / nor \\');
  }
}

function checkSizes({ kind, bufferBytes, partBytes }: BucketConfig, read: Reader): void {
  const least = LEAST_PART[kind];
  if (partBytes < (parseBytes(least) ?? 0) || partBytes > MOST_PART_BYTES) {
    read.problem('S3_PART_BYTES', `must be at least ${least} with STORE=${kind}, and at most 5GiB`);
  } else if (bufferBytes < LEAST_BUFFER_BYTES) {
    read.problem('S3_BUFFER_BYTES', 'must be at least 32MiB');
  } else if (bufferBytes < LEAST_BUFFER_PARTS * partBytes) {
    read.problem(
      'S3_BUFFER_BYTES',
      `must be at least ${LEAST_BUFFER_PARTS} times S3_PART_BYTES, which is ${partBytes} bytes`,
    );
  }
}

/** Only STORE=s3 has a default endpoint, AWS's own. The keys of another provider must not be sent there. */
function checkNoEndpoint({ kind, endpointIsBucket }: BucketConfig, read: Reader): void {
  if (endpointIsBucket && kind !== 'ceph') {
    read.problem('S3_ENDPOINT', 'is needed with S3_ENDPOINT_IS_BUCKET: the domain that leads to the bucket');
  } else if (kind === 'oss') {
    read.problem('S3_ENDPOINT', 'is needed with STORE=oss: https://s3.oss-<region>.aliyuncs.com');
  } else if (kind === 'ceph') {
    read.problem('S3_ENDPOINT', "is needed with STORE=ceph: the gateway's address, such as https://rgw.example.org");
  }
}

function checkEndpoint(config: BucketConfig, endpoint: string, read: Reader): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const plain = url && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username && !url.password;
  if (plain && url.pathname === '/') return;
  const example = config.kind === 'oss' ? 'https://s3.oss-cn-hangzhou.aliyuncs.com' : 'https://s3.example.org';
  read.problem('S3_ENDPOINT', `must be an address such as ${example}, without a path, not ${quote(endpoint)}`);
  config.endpoint = null;
}

function checkOwnDomain({ kind, pathStyle }: BucketConfig, read: Reader): void {
  if (kind === 'ceph') {
    read.problem('S3_ENDPOINT_IS_BUCKET', 'is for STORE=oss and s3: with ceph the endpoint is without the bucket');
  }
  if (pathStyle) {
    read.problem('S3_PATH_STYLE', 'must be false with S3_ENDPOINT_IS_BUCKET: the bucket is not in the path');
  }
}

function checkOss(config: BucketConfig, read: Reader): void {
  const { endpoint, bucket, region, endpointIsBucket } = config;
  if (config.pathStyle && !endpointIsBucket) {
    read.problem('S3_PATH_STYLE', 'must be false with STORE=oss: OSS takes the bucket in the host name only');
  }
  const host = hostOf(config);
  if (isIP(host.replaceAll(/[[\]]/g, '')) !== 0) {
    read.problem(
      'S3_ENDPOINT',
      'must be a name with STORE=oss: under an IP address the bucket cannot be in the host name',
    );
  }
  if (bucket.includes('.')) {
    read.problem('S3_BUCKET', 'must have no dots with STORE=oss: it is the first label of the host name');
  }
  if (endpoint !== null && host.startsWith(`${bucket}.`) && !endpointIsBucket) {
    read.problem(
      'S3_ENDPOINT',
      'must be without the bucket, which is put in front of it (else set S3_ENDPOINT_IS_BUCKET=true)',
    );
  }
  if (region === null && endpoint !== null) {
    read.problem('S3_REGION', 'is needed with STORE=oss where the endpoint does not name it: cn-hangzhou, say');
  }
}

function hostOf({ endpoint }: BucketConfig): string {
  return endpoint === null ? '' : new URL(endpoint).hostname;
}
