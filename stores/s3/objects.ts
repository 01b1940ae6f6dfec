/** The calls to the bucket, one function each: repeated where that helps, timed, and their errors translated. */
import { Readable } from 'node:stream';
import {
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
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { type AddressOptions, type ByteRange, StoreError, type StoredUpload } from '../store.ts';
import { type Surroundings, SYSTEM } from '../surroundings.ts';
import { checkBucket } from './check.ts';
import { describe, toStoreError } from './errors.ts';
import { bare, type Call, createMultiparts, ignoringMissing, type Multiparts } from './multiparts.ts';
import { type CallOptions, callWithRetries } from './retry.ts';
import type { Preset } from './settings.ts';

/** Metadata of an object: whose it is. With hyphens: OSS closes the connection on underscores. */
const UPLOAD_ID = 'upload-id';
const FILE_NAME = 'file-name';
/** Enough to see whether there is anything. */
const MOST_GLANCED = 100;
/** Of an attempt at sending content, which ends long before when nothing moves. */
const SENDING_TIMEOUT_MS = 3_600_000;

/** Bytes in memory, with what proves them. */
export interface Body {
  bytes: Uint8Array;
  md5: string;
  /** A call with them failed: something may still be reading them. */
  onFailure: () => void;
}

export interface SentPart {
  number: number;
  etag: string;
}

/** An answer whose body is still to be read. */
export interface OpenObject {
  body: Readable;
  /** Bytes of it. */
  length: number;
  /** Bytes of the whole object. */
  total: number;
  /** Of the object, without quotes, which some answers of RGW lack. */
  etag: string;
}

export interface FoundObject {
  size: number;
  uploadId: string | undefined;
  etag: string;
}

export interface Objects extends Multiparts {
  /** What whoever makes these calls waits by. */
  readonly surroundings: Surroundings;
  putTail(key: string, body: Body): Promise<void>;
  /** The whole content under its final key. */
  putFinal(key: string, upload: StoredUpload, body: Body): Promise<void>;
  /** `again`: it took more than one call, of which each may have begun one. */
  createMultipart(key: string, upload: StoredUpload): Promise<{ id: string; again: boolean }>;
  /** @returns the part's ETag, as the provider wrote it. */
  uploadPart(key: string, multipart: string, number: number, body: Body, signal: AbortSignal): Promise<string>;
  complete(key: string, multipart: string, parts: readonly SentPart[]): Promise<void>;
  /** Size, owner and ETag (without quotes, in lower case) of an object; undefined when there is none. */
  head(key: string, options?: CallOptions): Promise<FoundObject | undefined>;
  /**
   * Opens an object, or a range that must lie within it.
   *
   * @param signal - ends the attempts; the body is the caller's to destroy.
   */
  get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<OpenObject>;
  /** A presigned address of an object. */
  addressOf(key: string, options: AddressOptions): Promise<string>;
  remove(key: string): Promise<void>;
  putMark(key: string, body: Body): Promise<void>;
  /** The first names under a prefix, by one call: of objects, and of folders, which end with a slash. */
  glance(prefix: string): Promise<{ keys: string[]; folders: string[] }>;
  list(prefix: string): AsyncIterable<{ key: string; modifiedAt: number }>;
  /** Throws what is wrong with the bucket, in a sentence. */
  check(prefix: string): Promise<void>;
}

/** `sender`: for calls with content, whose connections end when nothing moves. */
export interface Clients {
  client: S3;
  sender: S3;
}

export function createObjects(
  { client, sender }: Clients,
  bucket: string,
  preset: Preset,
  closing: AbortSignal,
  { surroundings = SYSTEM, patience: usual = {} }: { surroundings?: Surroundings; patience?: CallOptions } = {},
): Objects {
  const call: Call = async (doing, attempt, options = {}) => {
    try {
      return await callWithRetries((abortSignal) => attempt({ abortSignal }), {
        signal: closing,
        surroundings,
        ...usual,
        ...options,
      });
    } catch (error) {
      throw toStoreError(error, doing);
    }
  };

  /** Content takes as long as its line is slow. */
  async function sendBody<T>(
    doing: string,
    { onFailure }: Body,
    attempt: (options: { abortSignal: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    async function watched(options: { abortSignal: AbortSignal }): Promise<T> {
      try {
        return await attempt(options);
      } catch (error) {
        onFailure();
        throw error;
      }
    }
    return call(doing, watched, { timeoutMs: SENDING_TIMEOUT_MS, ...(signal ? { signal } : {}) });
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
    body: Body,
    about: ReturnType<typeof describeUpload> | object,
  ): Promise<void> {
    const input = { Bucket: bucket, Key: key, Body: body.bytes, ContentMD5: toBase64(body.md5), ...about };
    await sendBody(doing, body, (options) => sender.send(new PutObjectCommand(input), options));
  }

  async function* list(prefix: string): AsyncIterable<{ key: string; modifiedAt: number }> {
    let ContinuationToken: string | undefined;
    do {
      const from = ContinuationToken === undefined ? {} : { ContinuationToken };
      const page = await call(`listing ${prefix}`, (options) =>
        client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...from }), options),
      );
      for (const { Key, LastModified } of page.Contents ?? []) {
        if (Key !== undefined) yield { key: Key, modifiedAt: LastModified?.getTime() ?? surroundings.wallMs() };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  return {
    surroundings,
    ...createMultiparts(client, bucket, preset, { call, surroundings }),

    list,

    glance: async (prefix) => {
      const input = { Bucket: bucket, Prefix: prefix, Delimiter: '/', MaxKeys: MOST_GLANCED };
      const page = await call(`listing ${prefix}`, (options) => client.send(new ListObjectsV2Command(input), options));
      return {
        keys: (page.Contents ?? []).map(({ Key = '' }) => Key),
        folders: (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
      };
    },

    putMark: (key, body) => put(`storing ${key}`, key, body, { ContentType: 'text/plain' }),

    putTail: (key, body) => put(`storing ${key}`, key, body, {}),

    putFinal: (key, upload, body) => put(`storing upload ${upload.id}`, key, body, describeUpload(upload)),

    createMultipart: (key, upload) => {
      let tried = 0;
      return call(`beginning upload ${upload.id}`, async (options) => {
        tried++;
        const input = { Bucket: bucket, Key: key, ...describeUpload(upload) };
        const { UploadId } = await client.send(new CreateMultipartUploadCommand(input), options);
        if (!UploadId) throw new Error('the answer has no UploadId');
        return { id: UploadId, again: tried > 1 };
      });
    },

    uploadPart: (key, multipart, number, body, signal) => {
      const input = {
        Bucket: bucket,
        Key: key,
        UploadId: multipart,
        PartNumber: number,
        Body: body.bytes,
        ContentMD5: toBase64(body.md5),
      };
      async function attempt(options: { abortSignal: AbortSignal }): Promise<string> {
        const { ETag } = await sender.send(new UploadPartCommand(input), options);
        if (!ETag) throw new Error('the answer has no ETag');
        return ETag;
      }
      return sendBody(`storing part ${number} of ${key}`, body, attempt, signal);
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

    head: async (key, patience) => {
      try {
        const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
        const attempt = (options: { abortSignal: AbortSignal }) => client.send(command, options);
        const { ContentLength, Metadata, ETag = '' } = await call(`looking up ${key}`, attempt, patience);
        return { size: ContentLength ?? 0, uploadId: Metadata?.[UPLOAD_ID], etag: bare(ETag) };
      } catch (error) {
        if (error instanceof StoreError && error.code === 'missing') return undefined;
        throw error;
      }
    },

    get: (key, range, signal = closing) =>
      call(
        `reading ${key}`,
        async (options) => {
          const fields = { Bucket: bucket, Key: key, ...(range ? { Range: `bytes=${range.start}-${range.end}` } : {}) };
          const command = new GetObjectCommand(fields);
          if (range) addHeaders(command, preset.rangeHeaders);
          const { Body: body, ContentRange, ContentLength, ETag = '', $metadata } = await client.send(command, options);
          if (!(body instanceof Readable)) throw new Error('the answer has no body');
          // OSS answers 200 with the whole object to a range it cannot meet.
          const isMeant = range
            ? $metadata.httpStatusCode === 206 && ContentRange?.startsWith(`bytes ${range.start}-`)
            : $metadata.httpStatusCode === 200;
          if (!isMeant || ContentLength === undefined) {
            body.destroy();
            throw new StoreError('failed', `${key}: the bucket answered with something else than what was asked for`);
          }
          const total = range ? Number(ContentRange?.split('/')[1]) : ContentLength;
          // Shorter by what it says of the object itself: a false answer, and no object that was cut off.
          if (range && ContentLength < Math.min(range.end + 1, total) - range.start) {
            body.destroy();
            throw new Error('the answer is shorter than what was asked for');
          }
          return { body, length: ContentLength, total, etag: ETag.replaceAll('"', '') };
        },
        { signal },
      ),

    addressOf: async (key, { type, disposition, lifeMs }) => {
      const command = new GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ResponseContentType: type,
        ResponseContentDisposition: disposition,
        ResponseCacheControl: 'private, no-cache',
      });
      try {
        return await getSignedUrl(client, command, { expiresIn: lifeMs / 1000 });
      } catch (error) {
        throw toStoreError(error, `signing an address of ${key}`);
      }
    },

    remove: async (key) => {
      await ignoringMissing(() =>
        call(`removing ${key}`, (options) =>
          client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), options),
        ),
      );
    },

    check: async (prefix) => {
      try {
        await checkBucket(client, bucket, prefix, { signal: closing, surroundings });
      } catch (error) {
        throw new StoreError('unavailable', `the bucket ${bucket} cannot be used: ${describe(error)}`, error);
      }
    },
  };
}

/** For calls whose command has no field for a header. */
export function addHeaders(command: GetObjectCommand, headers: Readonly<Record<string, string>>): void {
  if (Object.keys(headers).length === 0) return;
  command.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: object }).headers, headers);
      return next(args);
    },
    { step: 'build', name: 'addHeaders' },
  );
}

function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
