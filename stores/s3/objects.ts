/** The calls to the bucket, one function each: repeated where that helps, timed, and their errors translated. */
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type ByteRange, StoreError, type StoredUpload } from '../store.ts';
import { describe, toStoreError } from './errors.ts';
import { type CallOptions, callWithRetries } from './retry.ts';
import type { Preset } from './settings.ts';

/** Metadata of an object: whose it is. With hyphens: OSS closes the connection on underscores. */
const UPLOAD_ID = 'upload-id';
const FILE_NAME = 'file-name';
/** A start-up says within 10 s what is wrong. */
const CHECK = { attempts: 2, timeoutMs: 4_000 };

/** Bytes in memory, with what proves them. */
export interface Body {
  chunks: readonly Uint8Array[];
  length: number;
  md5: string;
}

export interface SentPart {
  number: number;
  etag: string;
}

export interface Objects {
  putTail(key: string, body: Body): Promise<void>;
  /** The whole content under its final key. */
  putFinal(key: string, upload: StoredUpload, body: Body): Promise<void>;
  createMultipart(key: string, upload: StoredUpload): Promise<string>;
  /** @returns the part's ETag, as the provider wrote it. */
  uploadPart(key: string, multipart: string, number: number, body: Body, signal: AbortSignal): Promise<string>;
  complete(key: string, multipart: string, parts: readonly SentPart[]): Promise<void>;
  abortMultipart(key: string, multipart: string): Promise<void>;
  /** Size and owner of an object; undefined when there is none. */
  head(key: string): Promise<{ size: number; uploadId: string | undefined } | undefined>;
  get(key: string, range?: ByteRange): Promise<Readable>;
  remove(key: string): Promise<void>;
  list(prefix: string): AsyncIterable<{ key: string; modifiedAt: number }>;
  /** Throws what is wrong with the bucket, in a sentence. */
  check(prefix: string): Promise<void>;
}

export function createObjects(client: S3, bucket: string, preset: Preset, closing: AbortSignal): Objects {
  async function call<T>(
    doing: string,
    attempt: (options: { abortSignal: AbortSignal }) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    try {
      return await callWithRetries((abortSignal) => attempt({ abortSignal }), { signal: closing, ...options });
    } catch (error) {
      throw toStoreError(error, doing);
    }
  }

  function describeUpload(upload: StoredUpload): { ContentType?: string; Metadata: Record<string, string> } {
    const { id, filename, filetype } = upload;
    return {
      ...(filetype !== null && /^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(filetype) ? { ContentType: filetype } : {}),
      Metadata: { [UPLOAD_ID]: id, ...(filename === null ? {} : { [FILE_NAME]: encodeURIComponent(filename) }) },
    };
  }

  async function put(
    doing: string,
    key: string,
    { chunks, length, md5 }: Body,
    about: ReturnType<typeof describeUpload> | object,
  ): Promise<void> {
    const fixed = { Bucket: bucket, Key: key, ContentLength: length, ContentMD5: toBase64(md5), ...about };
    await call(doing, (options) => client.send(new PutObjectCommand({ ...fixed, Body: streamOf(chunks) }), options), {
      bytes: length,
    });
  }

  async function* list(prefix: string): AsyncIterable<{ key: string; modifiedAt: number }> {
    let ContinuationToken: string | undefined;
    do {
      const from = ContinuationToken === undefined ? {} : { ContinuationToken };
      const page = await call(`listing ${prefix}`, (options) =>
        client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...from }), options),
      );
      for (const { Key, LastModified } of page.Contents ?? []) {
        if (Key !== undefined) yield { key: Key, modifiedAt: LastModified?.getTime() ?? Date.now() };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  return {
    list,

    putTail: (key, body) => put(`storing ${key}`, key, body, {}),

    putFinal: (key, upload, body) => put(`storing upload ${upload.id}`, key, body, describeUpload(upload)),

    createMultipart: (key, upload) =>
      call(`beginning upload ${upload.id}`, async (options) => {
        const input = { Bucket: bucket, Key: key, ...describeUpload(upload) };
        const { UploadId } = await client.send(new CreateMultipartUploadCommand(input), options);
        if (!UploadId) throw new Error('the answer has no UploadId');
        return UploadId;
      }),

    uploadPart: (key, multipart, number, { chunks, length, md5 }, signal) => {
      const fixed = {
        Bucket: bucket,
        Key: key,
        UploadId: multipart,
        PartNumber: number,
        ContentLength: length,
        ContentMD5: toBase64(md5),
      };
      return call(
        `storing part ${number} of ${key}`,
        async (options) => {
          const command = new UploadPartCommand({ ...fixed, Body: streamOf(chunks) });
          const { ETag } = await client.send(command, options);
          if (!ETag) throw new Error('the answer has no ETag');
          return ETag;
        },
        { bytes: length, signal },
      );
    },

    complete: async (key, multipart, parts) => {
      const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
      await call(
        `completing ${key}`,
        async (options) => {
          const input = { Bucket: bucket, Key: key, UploadId: multipart, MultipartUpload: { Parts } };
          const answer = await client.send(new CompleteMultipartUploadCommand(input), options);
          // 200 goes out before the work is done, and what follows may be anything. RGW 16 leaves the ETag empty.
          if (!answer.ETag && !answer.Key) throw new Error('the answer names no object');
        },
        // Putting many parts together takes its time.
        { timeoutMs: 120_000, attempts: 1 },
      );
    },

    abortMultipart: async (key, multipart) => {
      await ignoringMissing(() =>
        call(`aborting ${key}`, (options) =>
          client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: multipart }), options),
        ),
      );
    },

    head: async (key) => {
      try {
        const { ContentLength, Metadata } = await call(`looking up ${key}`, (options) =>
          client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), options),
        );
        return { size: ContentLength ?? 0, uploadId: Metadata?.[UPLOAD_ID] };
      } catch (error) {
        if (error instanceof StoreError && error.code === 'missing') return undefined;
        throw error;
      }
    },

    get: (key, range) =>
      call(`reading ${key}`, async (options) => {
        const command = new GetObjectCommand({
          Bucket: bucket,
          Key: key,
          ...(range ? { Range: `bytes=${range.start}-${range.end}` } : {}),
        });
        if (range) addHeaders(command, preset.rangeHeaders);
        const { Body: body, ContentRange, $metadata } = await client.send(command, options);
        if (!(body instanceof Readable)) throw new Error('the answer has no body');
        // OSS answers 200 with the whole object to a range it cannot meet.
        if (range && ($metadata.httpStatusCode !== 206 || !ContentRange?.startsWith(`bytes ${range.start}-`))) {
          body.destroy();
          throw new StoreError('failed', `${key}: asked for a range, the bucket answered with something else`);
        }
        return body;
      }),

    remove: async (key) => {
      await ignoringMissing(() =>
        call(`removing ${key}`, (options) =>
          client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), options),
        ),
      );
    },

    check: async (prefix) => {
      try {
        await callWithRetries(
          (abortSignal) =>
            client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }), { abortSignal }),
          { ...CHECK, signal: closing },
        );
      } catch (error) {
        throw new StoreError('unavailable', `the bucket ${bucket} cannot be used: ${describe(error)}`, error);
      }
    },
  };
}

/** Calls whose command has no field for a header. */
function addHeaders(command: GetObjectCommand, headers: Readonly<Record<string, string>>): void {
  if (Object.keys(headers).length === 0) return;
  command.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: object }).headers, headers);
      return next(args);
    },
    { step: 'build', name: 'addHeaders' },
  );
}

async function ignoringMissing(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'missing')) throw error;
  }
}

function streamOf(chunks: readonly Uint8Array[]): Readable | Uint8Array {
  // An empty stream would go out chunked.
  return chunks.length === 0 ? new Uint8Array(0) : Readable.from(chunks, { objectMode: false });
}

function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
