/** The calls that store bytes in the bucket, one function each. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { StoredUpload } from '../store.ts';
import { type Attempt, type Body, call, type Calling, sendBody } from './calls.ts';

/** Metadata of an object: whose it is. With hyphens: OSS closes the connection on underscores. */
export const UPLOAD_ID = 'upload-id';
const FILE_NAME = 'file-name';

export interface SentPart {
  number: number;
  etag: string;
}

export interface Storing {
  putMark(key: string, body: Body): Promise<void>;
  putTail(key: string, body: Body): Promise<void>;
  /** The whole content under its final key. */
  putFinal(key: string, upload: StoredUpload, body: Body): Promise<void>;
  /** `again`: it took more than one call, of which each may have begun one. */
  createMultipart(key: string, upload: StoredUpload): Promise<{ id: string; again: boolean }>;
  /** @returns the part's ETag, as the provider wrote it. */
  uploadPart(key: string, multipart: string, number: number, body: Body, signal: AbortSignal): Promise<string>;
  complete(key: string, multipart: string, parts: readonly SentPart[]): Promise<void>;
}

export function createStoring(calling: Calling): Storing {
  const { client, sender, bucket } = calling;

  async function put(doing: string, key: string, body: Body, about: object): Promise<void> {
    const input = { Bucket: bucket, Key: key, Body: body.bytes, ContentMD5: toBase64(body.md5), ...about };
    await sendBody(calling, doing, body, (options) => sender.send(new PutObjectCommand(input), options));
  }

  return {
    putMark: (key, body) => put(`storing ${key}`, key, body, { ContentType: 'text/plain' }),

    putTail: (key, body) => put(`storing ${key}`, key, body, {}),

    putFinal: (key, upload, body) => put(`storing upload ${upload.id}`, key, body, describeUpload(upload)),

    createMultipart: (key, upload) => {
      let tried = 0;
      return call(calling, `beginning upload ${upload.id}`, async (options) => {
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
      const attempt: Attempt<string> = async (options) => {
        const { ETag } = await sender.send(new UploadPartCommand(input), options);
        if (!ETag) throw new Error('the answer has no ETag');
        return ETag;
      };
      return sendBody(calling, `storing part ${number} of ${key}`, body, attempt, signal);
    },

    complete: async (key, multipart, parts) => {
      const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
      await call(
        calling,
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
  };
}

function describeUpload(upload: StoredUpload): { ContentType?: string; Metadata: Record<string, string> } {
  const { id, filename, filetype } = upload;
  return {
    ...(filetype !== null && /^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(filetype) ? { ContentType: filetype } : {}),
    Metadata: { [UPLOAD_ID]: id, ...(filename === null ? {} : { [FILE_NAME]: encodeURIComponent(filename) }) },
  };
}

function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
