/** Shared helpers of the tests of the OSS double. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { createOssClient, type OssClientOptions } from './client.ts';
import { type OssOptions, type RunningOss, startOss } from './oss.ts';

/** The bucket of every double, by default. */
export const Bucket = 'tidemark-test';

export interface Part {
  PartNumber: number;
  ETag: string;
}

/** Starts a double that all tests of a file share. */
export interface OssSuite {
  readonly oss: RunningOss;
  readonly client: S3Client;
  read(Key: string, Range?: string): Promise<Buffer>;
  isStored(key: string): boolean;
  begin(Key: string): Promise<string>;
  putPart(Key: string, UploadId: string, PartNumber: number, Body: Buffer): Promise<Part>;
  complete(Key: string, UploadId: string, Parts: Part[]): Promise<{ ETag?: string | undefined }>;
}

export function useOss(): OssSuite {
  let oss: RunningOss;
  let client: S3Client;
  beforeAll(async () => {
    oss = await startOss();
    client = createOssClient(oss);
  });
  afterAll(async () => {
    client.destroy();
    await oss.stop();
  });
  return {
    get oss() {
      return oss;
    },
    get client() {
      return client;
    },
    read: async (Key, Range) => {
      const { Body } = await client.send(
        new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) }),
      );
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    isStored: (key) => oss.objects().some((object) => object.key === key),
    begin: async (Key) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      return UploadId ?? '';
    },
    putPart: async (Key, UploadId, PartNumber, Body) => {
      const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
      return { PartNumber, ETag: ETag ?? '' };
    },
    complete: (Key, UploadId, Parts) =>
      client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } })),
  };
}

/** Starts a double for one test. */
export async function openOss(options: OssOptions): Promise<RunningOss> {
  const oss = await startOss(options);
  onTestFinished(() => oss.stop());
  return oss;
}

/** Makes a client for one test. */
export function openClient(oss: RunningOss, options: OssClientOptions = {}): S3Client {
  const client = createOssClient(oss, options);
  onTestFinished(() => client.destroy());
  return client;
}

/** Waits for a refusal. @returns `[status, code]`. */
export async function refusal(call: Promise<unknown>): Promise<[number | undefined, string]> {
  try {
    await call;
  } catch (error) {
    const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return [$metadata?.httpStatusCode, name];
  }
  throw new Error('it was accepted');
}
