/** Checks that a bucket can be used, before anything depends on it. */
import { connect as connectTls } from 'node:tls';
import { ListObjectsV2Command, type S3 } from '@aws-sdk/client-s3';
import { BucketError, codeOf } from './errors.ts';
import { type CallOptions, callWithRetries } from './retry.ts';

/** The service's start reports within 10 s what is wrong. */
const CALL = { timeoutMs: 3_000, withinMs: 6_500 };
const HANDSHAKE_TIMEOUT_MS = 1_000;

/** Codes of errors by which plain HTTP to a TLS port may fail; nginx answers with HTML. */
const NO_PLAIN_ANSWER = /^(?:ECONNRESET|HPE_.*|NotS3|unknown)$/i;

/**
 * Checks the bucket by listing a key.
 *
 * @throws the SDK's error, or a BucketError: `explain` has a sentence for either.
 */
export async function checkBucket(
  client: S3,
  bucket: string,
  prefix: string,
  options: Pick<CallOptions, 'signal' | 'surroundings'> = {},
): Promise<void> {
  try {
    await callWithRetries((abortSignal) => list(client, bucket, prefix, abortSignal), { ...CALL, ...options });
  } catch (error) {
    if (NO_PLAIN_ANSWER.test(codeOf(error)) && (await isTlsOnly(client))) {
      throw new BucketError('TlsOnly', 'no answer in plain HTTP, and one in TLS', error);
    }
    throw error;
  }
}

async function list(client: S3, bucket: string, prefix: string, abortSignal: AbortSignal): Promise<void> {
  const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 });
  const { Name, $metadata } = await client.send(command, { abortSignal }).catch((error: unknown) => {
    // Not retried: the SDK corrects its clock by the refusal, and the retry would succeed, while presigned addresses and
    // expiries would still be wrong.
    if (codeOf(error) === 'RequestTimeTooSkewed') throw new BucketError('RequestTimeTooSkewed', 'too far off', error);
    throw error;
  });
  if (Name !== undefined) return;
  // The SDK accepts well-formed HTML; RGW without `rgw_dns_name` lists the buckets instead.
  if ($metadata.requestId === undefined) throw new BucketError('NotS3', 'the answer is not the listing of a bucket');
  throw new BucketError('OtherAddressing', 'the answer is not the listing of this bucket');
}

async function isTlsOnly(client: S3): Promise<boolean> {
  const endpoint = await client.config.endpoint?.();
  if (endpoint?.protocol !== 'http:') return false;
  return speaksTls(endpoint.hostname, endpoint.port ?? 80);
}

/** Whether a TLS handshake succeeds, with any certificate. */
export function speaksTls(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: HANDSHAKE_TIMEOUT_MS });
    function end(answer: boolean): void {
      socket.destroy();
      resolve(answer);
    }
    socket.once('secureConnect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
