/** The calls that store bytes in the bucket, one function each. */
import { UploadPartCopyCommand } from '@aws-sdk/client-s3';
import { StoreError, type StoredUpload } from '../store.ts';
import { listOfParts, textOf } from './answers.ts';
import { type Attempt, type Body, call, type Calling, sendBody } from './calls.ts';
import type { CopySource } from './copying.ts';
import { codeOf } from './errors.ts';

/** Metadata of an object: the upload that it belongs to. With hyphens: OSS closes the connection on underscores. */
export const UPLOAD_ID = 'upload-id';
const FILE_NAME = 'file-name';
const MOST_NAME_BYTES = 1024;
const MARK = { 'content-type': 'text/plain' };
const NOTHING = new Uint8Array(0);
/** As the SDK has it for content without a type. */
const ANY_TYPE = { 'content-type': 'application/octet-stream' };

/** Codes of a conditional put where the key has an object; the second is OSS's. */
const OCCUPIED = new Set(['PreconditionFailed', 'FileAlreadyExists']);
/** Codes of a provider that does not know the condition. */
const UNSUPPORTED = new Set(['NotImplemented', 'InvalidArgument', 'InvalidRequest']);

/** The bucket writes a part of up to 525 MiB, and answers when it has. */
const COPYING_TIMEOUT_MS = 120_000;

/** A part that the bucket has. */
export interface SentPart {
  number: number;
  etag: string;
}

/** The calls. */
export interface Storing {
  putMark(key: string, body: Body): Promise<void>;
  /**
   * Puts the mark where the key has no object. `stored` proves little: a provider that ignores the condition returns it, too.
   *
   * @returns `unsupported`: the provider has no such condition, and nothing was stored.
   */
  putMarkIfAbsent(key: string, body: Body): Promise<'stored' | 'occupied' | 'unsupported'>;
  putTail(key: string, body: Body): Promise<void>;
  /** Puts the whole content under its final key. */
  putFinal(key: string, upload: StoredUpload, body: Body): Promise<void>;
  /** `again`: it took several attempts, and each may have begun a multipart upload. */
  createMultipart(key: string, upload: StoredUpload): Promise<{ id: string; again: boolean }>;
  /** Uploads a part. @returns its ETag, as the provider wrote it. */
  uploadPart(key: string, multipart: string, number: number, body: Body, signal: AbortSignal): Promise<string>;
  /** Has the bucket copy a range of an object as a part. @returns its ETag, as the provider wrote it. */
  copyPart(key: string, multipart: string, number: number, source: CopySource, signal: AbortSignal): Promise<string>;
  complete(key: string, multipart: string, parts: readonly SentPart[]): Promise<void>;
}

/** Makes the calls. */
export function createStoring(calling: Calling): Storing {
  const { sender, preset } = calling;

  async function put(doing: string, key: string, body: Body, about: Readonly<Record<string, string>>): Promise<void> {
    const headers = { ...ANY_TYPE, ...about, 'content-md5': toBase64(body.md5) };
    await sendBody(calling, doing, body, (options) => sender.put({ key, headers, bytes: body.bytes }, options));
  }

  return {
    putMark: (key, body) => put(`storing ${key}`, key, body, MARK),

    putMarkIfAbsent: async (key, body) => {
      if (preset.putIfAbsent === null) return 'unsupported';
      try {
        await put(`storing ${key}`, key, body, { ...MARK, ...preset.putIfAbsent });
        return 'stored';
      } catch (error) {
        return readRefusal(error);
      }
    },

    putTail: (key, body) => put(`storing ${key}`, key, body, {}),

    putFinal: (key, upload, body) => put(`storing upload ${upload.id}`, key, body, headersOf(upload)),

    createMultipart: (key, upload) => {
      let tried = 0;
      return call(calling, `beginning upload ${upload.id}`, async (options) => {
        tried++;
        const content = { key, query: [['uploads', '']] as const, headers: headersOf(upload), bytes: NOTHING };
        const id = textOf(await sender.post(content, options), 'UploadId');
        if (id === undefined) throw new Error('the answer has no UploadId');
        return { id, again: tried > 1 };
      });
    },

    uploadPart: (key, multipart, number, body, signal) => {
      const content = {
        key,
        query: [
          ['partNumber', String(number)],
          ['uploadId', multipart],
        ] as const,
        headers: { ...ANY_TYPE, 'content-md5': toBase64(body.md5) },
        bytes: body.bytes,
      };
      const attempt: Attempt<string> = async (options) => {
        const etag = await sender.put(content, options);
        if (etag === '') throw new Error('the answer has no ETag');
        return etag;
      };
      return sendBody(calling, `storing part ${number} of ${key}`, body, attempt, signal);
    },

    copyPart: (key, multipart, number, source, signal) =>
      copyPart(calling, { Key: key, UploadId: multipart, PartNumber: number }, source, signal),

    complete: (key, multipart, parts) => completeMultipart(calling, key, multipart, parts),
  };
}

async function completeMultipart(
  calling: Calling,
  key: string,
  multipart: string,
  parts: readonly SentPart[],
): Promise<void> {
  const content = {
    key,
    query: [['uploadId', multipart]] as const,
    headers: { 'content-type': 'application/xml' },
    bytes: Buffer.from(listOfParts(parts)),
  };
  await call(
    calling,
    `completing ${key}`,
    async (options) => {
      // A provider sends 200 before the object is complete, so that the answer may break off. RGW 16 leaves the ETag empty.
      const answer = await calling.sender.post(content, options);
      if (!textOf(answer, 'ETag') && !textOf(answer, 'Key')) throw new Error('the answer names no object');
    },
    // Joining many parts takes a while.
    { timeoutMs: 120_000, attempts: 1 },
  );
}

function copyPart(
  calling: Calling,
  part: { Key: string; UploadId: string; PartNumber: number },
  { key, range }: CopySource,
  signal: AbortSignal,
): Promise<string> {
  const { client, bucket, bucketName } = calling;
  const input = {
    Bucket: bucket,
    ...part,
    CopySource: `/${bucketName}/${key.split('/').map(encodeURIComponent).join('/')}`,
    CopySourceRange: `bytes=${range.start}-${range.end}`,
  };
  return call(
    calling,
    `copying part ${part.PartNumber} of ${part.Key}`,
    async (options) => {
      const { CopyPartResult } = await client.send(new UploadPartCopyCommand(input), options);
      if (!CopyPartResult?.ETag) throw new Error('the answer has no ETag');
      return CopyPartResult.ETag;
    },
    // The caller has the bytes, and sends them where this fails.
    { attempts: 2, timeoutMs: COPYING_TIMEOUT_MS, signal },
  );
}

/** Why a conditional put was refused. @throws any other error. */
function readRefusal(error: unknown): 'occupied' | 'unsupported' {
  const code = error instanceof StoreError ? codeOf(error.cause ?? error) : '';
  if (OCCUPIED.has(code)) return 'occupied';
  if (UNSUPPORTED.has(code)) return 'unsupported';
  throw error;
}

/** Type and metadata of an upload's object. */
function headersOf({ id, filename, filetype }: StoredUpload): Record<string, string> {
  return {
    ...(filetype !== null && /^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(filetype) ? { 'content-type': filetype } : {}),
    [`x-amz-meta-${UPLOAD_ID}`]: id,
    ...(filename === null ? {} : { [`x-amz-meta-${FILE_NAME}`]: encodeName(filename) }),
  };
}

/**
 * A file's name for people who look into the bucket: percent-encoded, the last part of a path, and of a long one the beginning.
 * All metadata of an object together have 2 KB (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html).
 */
export function encodeName(filename: string): string {
  let encoded = '';
  for (const character of filename.slice(filename.lastIndexOf('/') + 1)) {
    const next = encoded + encodeURIComponent(character);
    if (next.length > MOST_NAME_BYTES) break;
    encoded = next;
  }
  return encoded;
}

function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
