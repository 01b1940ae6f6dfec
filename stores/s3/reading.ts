/** The calls that read from the bucket, one function each. */
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Readable } from 'node:stream';
import { type AddressOptions, type ByteRange, StoreError } from '../store.ts';
import { call, type Calling } from './calls.ts';
import { toStoreError } from './errors.ts';
import { addHeaders } from './headers.ts';
import { bare } from './multiparts.ts';
import type { CallOptions } from './retry.ts';
import { UPLOAD_ID } from './storing.ts';

/** As a rule, enough to see whether there is anything. */
const NAMES_PER_GLANCE = 100;

/** An answer whose body is still to be read. */
export interface OpenObject {
  body: Readable;
  /** The number of bytes in the body. */
  length: number;
  /** The number of bytes in the whole object. */
  total: number;
  /** The object's ETag without quotes, which some answers of RGW lack. */
  etag: string;
}

/** An object, as HEAD describes it. */
export interface FoundObject {
  size: number;
  uploadId: string | undefined;
  etag: string;
}

/** Some of the names under a prefix. */
export interface Glance {
  keys: string[];
  /** They end with a slash. */
  folders: string[];
  /** Where the next names begin; undefined where there are no more. */
  next: string | undefined;
}

/** The calls. */
export interface Reading {
  /** Size, owner and ETag (without quotes, in lower case) of an object; undefined when there is none. */
  head(key: string, options?: CallOptions): Promise<FoundObject | undefined>;
  /**
   * Opens an object, or a range that must lie within it.
   *
   * @param signal - ends the attempts; the caller destroys the body.
   */
  get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<OpenObject>;
  /** A presigned address of an object. */
  addressOf(key: string, options: AddressOptions): Promise<string>;
  /** Lists one page of the names under a prefix. */
  glance(prefix: string, from?: string): Promise<Glance>;
  list(prefix: string): AsyncIterable<{ key: string; modifiedAt: number }>;
}

/** Makes the calls. */
export function createReading(calling: Calling): Reading {
  const { client, bucket, surroundings } = calling;

  async function* list(prefix: string): AsyncIterable<{ key: string; modifiedAt: number }> {
    let ContinuationToken: string | undefined;
    do {
      const from = ContinuationToken === undefined ? {} : { ContinuationToken };
      const page = await call(calling, `listing ${prefix}`, (options) =>
        client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...from }), options),
      );
      for (const { Key, LastModified } of page.Contents ?? []) {
        if (Key !== undefined) yield { key: Key, modifiedAt: LastModified?.getTime() ?? surroundings.wallMs() };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  return {
    list,

    glance: async (prefix, from) => {
      const after = from === undefined ? {} : { ContinuationToken: from };
      const input = { Bucket: bucket, Prefix: prefix, Delimiter: '/', MaxKeys: NAMES_PER_GLANCE, ...after };
      const page = await call(calling, `listing ${prefix}`, (options) =>
        client.send(new ListObjectsV2Command(input), options),
      );
      return {
        keys: (page.Contents ?? []).map(({ Key = '' }) => Key),
        folders: (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
        next: page.IsTruncated ? page.NextContinuationToken : undefined,
      };
    },

    head: async (key, patience) => {
      try {
        const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
        const attempt = (options: { abortSignal: AbortSignal }) => client.send(command, options);
        const { ContentLength, Metadata, ETag = '' } = await call(calling, `looking up ${key}`, attempt, patience);
        return { size: ContentLength ?? 0, uploadId: Metadata?.[UPLOAD_ID], etag: bare(ETag) };
      } catch (error) {
        if (error instanceof StoreError && error.code === 'missing') return undefined;
        throw error;
      }
    },

    get: (key, range, signal = calling.closing) =>
      call(calling, `reading ${key}`, ({ abortSignal }) => openObject(calling, key, range, abortSignal), { signal }),

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
  };
}

/** Makes one attempt to open an object. @throws where the answer does not match the request. */
async function openObject(
  { client, bucket, preset }: Calling,
  key: string,
  range: ByteRange | undefined,
  abortSignal: AbortSignal,
): Promise<OpenObject> {
  const fields = { Bucket: bucket, Key: key, ...(range ? { Range: `bytes=${range.start}-${range.end}` } : {}) };
  const command = new GetObjectCommand(fields);
  if (range) addHeaders(command, preset.rangeHeaders);
  const { Body: body, ContentRange, ContentLength, ETag = '', $metadata } = await client.send(command, { abortSignal });
  if (!(body instanceof Readable)) throw new Error('the answer has no body');
  // OSS answers a range that it cannot satisfy with 200 and the whole object.
  const isMeant = range
    ? $metadata.httpStatusCode === 206 && ContentRange?.startsWith(`bytes ${range.start}-`)
    : $metadata.httpStatusCode === 200;
  if (!isMeant || ContentLength === undefined) {
    body.destroy();
    throw new StoreError('failed', `${key}: the bucket answered with something else than what was asked for`);
  }
  const total = range ? Number(ContentRange?.split('/')[1]) : ContentLength;
  // Shorter than its own Content-Range says: the answer is wrong; the object is not too short.
  if (range && ContentLength < Math.min(range.end + 1, total) - range.start) {
    body.destroy();
    throw new Error('the answer is shorter than what was asked for');
  }
  return { body, length: ContentLength, total, etag: ETag.replaceAll('"', '') };
}
