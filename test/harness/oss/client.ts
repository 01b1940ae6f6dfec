/** An SDK client for the double: it resolves the names of OSS to loopback. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { Agent } from 'node:http';
import { regionHost } from './address.ts';
import { lookupHere } from './lookup-here.ts';
import type { RunningOss } from './oss.ts';

export interface OssClientOptions extends S3ClientConfig {
  /** Of a proxy in front of the double. */
  port?: number;
}

/**
 * The client has the preset of OSS: virtual-hosted, checksums only where required. One attempt per call, so that tests
 * see each answer.
 */
export function createOssClient(oss: RunningOss, { port = oss.port, ...overrides }: OssClientOptions = {}): S3Client {
  return new S3Client({
    endpoint: `http://${regionHost(oss.region)}:${port}`,
    region: oss.region,
    credentials: { accessKeyId: oss.accessKeyId, secretAccessKey: oss.secretAccessKey },
    forcePathStyle: false,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 1,
    // Silent: the SDK would warn about things that tests do on purpose.
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    requestHandler: { httpAgent: new Agent({ keepAlive: true, lookup: lookupHere }) },
    ...overrides,
  });
}

function ignore(): void {}
