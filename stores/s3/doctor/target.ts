/** The bucket as the steps use it: the service's own client, one attempt per call, and a record of what was made. */
import { createHash, randomBytes } from 'node:crypto';
import { HeadBucketCommand, S3 } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { leaveBodiesUnsigned, setUpClient } from '../client.ts';
import { callWithRetries } from '../retry.ts';
import type { Preset, S3Settings } from '../settings.ts';

/** A call with a body gives up on a slower connection. */
const LEAST_BYTES_PER_MS = 64;
const CALL_TIMEOUT_MS = 15_000;

export interface Target {
  readonly client: S3;
  readonly preset: Preset;
  readonly bucket: string;
  readonly prefix: string;
  /** `S3_PART_BYTES`. */
  readonly partBytes: number;
  /** What every key the doctor makes begins with. */
  readonly folder: string;
  /** Where the SDK sends its requests: the bucket may be in the host name or in the path. */
  url(): Promise<URL>;
  /**
   * Makes one call without retries, so that the doctor reports exactly what came back.
   *
   * @param bytes - size of the body: adds to the time limit.
   */
  call<T>(attempt: (options: { abortSignal: AbortSignal }) => Promise<T>, bytes?: number): Promise<T>;
  /** Keys and multipart uploads (id -> key) that may exist and have to be removed. */
  readonly made: { keys: Set<string>; multiparts: Map<string, string> };
  close(): void;
}

export function openTarget(preset: Preset, settings: S3Settings, signal: AbortSignal): Target {
  const { config, closeConnections } = setUpClient(preset, settings);
  const client = new S3(config);
  leaveBodiesUnsigned(client);
  const { bucket, prefix, partBytes } = settings;
  return {
    client,
    preset,
    bucket,
    prefix,
    partBytes,
    folder: `${prefix}doctor/${randomBytes(8).toString('hex')}/`,
    url: async () => new URL(await getSignedUrl(client, new HeadBucketCommand({ Bucket: bucket }))),
    call: (attempt, bytes = 0) =>
      callWithRetries((abortSignal) => attempt({ abortSignal }), {
        attempts: 1,
        timeoutMs: CALL_TIMEOUT_MS + bytes / LEAST_BYTES_PER_MS,
        signal,
      }),
    made: { keys: new Set(), multiparts: new Map() },
    close: () => {
      client.destroy();
      closeConnections();
    },
  };
}

/** Bytes to store, and their MD5. */
export interface Sample {
  bytes: Buffer;
  md5: string;
  md5Base64: string;
}

export function makeSample(size: number): Sample {
  const bytes = randomBytes(size);
  const md5 = createHash('md5').update(bytes).digest();
  return { bytes, md5: md5.toString('hex'), md5Base64: md5.toString('base64') };
}

/** Whether an ETag is this MD5. Providers differ in quotes and letter case. */
export function isMd5(etag: string | undefined, md5: string): boolean {
  return etag?.replaceAll('"', '').toLowerCase() === md5;
}
