/**
 * A strict double of Aliyun OSS's S3 API: it accepts what OSS accepts, and refuses what OSS refuses. It verifies signatures,
 * and keeps bytes on disk; only the index is in memory.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { readS3Call, type S3Operation } from '../s3-call.ts';
import { checkAddress, regionHost } from './address.ts';
import type { Handler, OssSettings, Reply } from './call.ts';
import { OssError } from './errors.ts';
import { getBucketLocation, headBucket, listObjects } from './listing.ts';
import { abortMultipartUpload, completeMultipartUpload, createMultipartUpload } from './multipart.ts';
import { listParts, uploadPart, uploadPartCopy } from './multipart.ts';
import { deleteObject, deleteObjects, getObject, putObject } from './objects.ts';
import { hasForbiddenMetadata, refuseUnsupported } from './refusals.ts';
import { type Credentials, verifySignature } from './sigv4.ts';
import { openStorage, type Storage } from './storage.ts';

/** The calls that the double supports. It answers all others, such as tagging and `?uploads`, with `NotImplemented`. */
const HANDLERS: Partial<Record<S3Operation, Handler>> = {
  HeadBucket: headBucket,
  GetBucketLocation: getBucketLocation,
  ListObjects: listObjects,
  ListObjectsV2: listObjects,
  DeleteObjects: deleteObjects,
  PutObject: putObject,
  GetObject: getObject,
  HeadObject: getObject,
  DeleteObject: deleteObject,
  CreateMultipartUpload: createMultipartUpload,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
  ListParts: listParts,
  CompleteMultipartUpload: completeMultipartUpload,
  AbortMultipartUpload: abortMultipartUpload,
};

export type OssOptions = Partial<OssSettings>;

/** An entry of the log of calls. */
export interface OssRequest {
  operation: S3Operation;
  method: string;
  /** Path and query as they were sent. */
  target: string;
  key: string;
  partNumber: number | undefined;
  uploadId: string | undefined;
  headers: IncomingHttpHeaders;
  /** Undefined until the call is answered, and where it never is. */
  status: number | undefined;
  /** The code of a refusal. */
  code: string | undefined;
}

export interface RunningOss extends Credentials {
  /** `http://s3.oss-<region>.aliyuncs.com:<port>`: resolves to loopback by `createOssClient` and `RESOLVE_HERE`. */
  readonly endpoint: string;
  readonly port: number;
  readonly bucket: string;
  readonly ownDomain: string | undefined;
  /** All calls so far, in the order in which they came in. */
  requests(): OssRequest[];
  objects(): { key: string; size: number; etag: string; headers: Record<string, string> }[];
  uploads(): { uploadId: string; key: string; parts: { number: number; size: number; etag: string }[] }[];
  stop(): Promise<void>;
}

/** Starts a double on a free port of loopback. */
export async function startOss(options: OssOptions = {}): Promise<RunningOss> {
  const settings: OssSettings = {
    bucket: 'tidemark-test',
    region: 'cn-hangzhou',
    publicHost: 'allowed',
    ownDomain: undefined,
    chunkedBodies: 'InvalidArgument',
    conditionalWriteStatus: 400,
    clockOffsetMs: 0,
    mostSkewMs: 15 * 60 * 1000,
    ...options,
  };
  const credentials: Credentials = {
    accessKeyId: 'LTAI5tTidemarkTest',
    secretAccessKey: randomBytes(15).toString('hex'),
    region: settings.region,
  };
  const storage = await openStorage();
  const log: OssRequest[] = [];
  const server = createServer((request, response) => {
    void answer(request, response, { settings, credentials, storage, log });
  });
  // Longer than clients keep a connection, so that none is closed under a request.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    ...credentials,
    endpoint: `http://${regionHost(settings.region)}:${port}`,
    port,
    bucket: settings.bucket,
    ownDomain: settings.ownDomain,
    requests: () => [...log],
    objects: () => [...storage.objects.values()].map(({ key, size, etag, headers }) => ({ key, size, etag, headers })),
    uploads: () =>
      [...storage.uploads.values()].map(({ uploadId, key, parts }) => ({
        uploadId,
        key,
        parts: [...parts.values()]
          .sort((a, b) => a.number - b.number)
          .map(({ number, etag, blob }) => ({ number, size: blob.size, etag })),
      })),
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await storage.close();
    },
  };
}

interface Double {
  settings: OssSettings;
  credentials: Credentials;
  storage: Storage;
  log: OssRequest[];
}

async function answer(request: IncomingMessage, response: ServerResponse, double: Double): Promise<void> {
  const { method = '', url: target = '', headers } = request;
  const call = readS3Call({ method, target, headers });
  const entry: OssRequest = {
    operation: call.operation,
    method,
    target,
    key: call.key,
    partNumber: call.partNumber,
    uploadId: call.uploadId,
    headers,
    status: undefined,
    code: undefined,
  };
  double.log.push(entry);
  if (hasForbiddenMetadata(Object.keys(headers))) {
    request.socket.destroy();
    return;
  }
  const { clockOffsetMs, mostSkewMs } = double.settings;
  const nowMs = Date.now() + clockOffsetMs;
  const requestId = randomBytes(12).toString('hex').toUpperCase();
  response.sendDate = false;
  response.setHeader('Server', 'AliyunOSS');
  response.setHeader('Date', new Date(nowMs).toUTCString());
  response.setHeader('x-amz-request-id', requestId);
  let reply: Reply;
  try {
    const { isDefaultDomain } = checkAddress(headers.host ?? '', double.settings);
    const payloadHash = verifySignature(request, double.credentials, { nowMs, mostSkewMs });
    const full = { ...call, request, payloadHash, isDefaultDomain, settings: double.settings, storage: double.storage };
    refuseUnsupported(full);
    const handler = HANDLERS[call.operation];
    if (!handler) throw new OssError('NotImplemented', `${call.operation} is not implemented.`);
    reply = await handler(full);
  } catch (error) {
    // The connection broke while the body arrived: no answer can be sent.
    if (request.destroyed && !request.complete) return;
    const refusal =
      error instanceof OssError
        ? error
        : new OssError('InternalError', error instanceof Error ? error.stack : String(error));
    entry.code = refusal.code;
    reply = {
      status: refusal.status,
      headers: { 'Content-Type': 'application/xml' },
      body: refusal.toXml(requestId, headers.host ?? ''),
    };
  }
  entry.status = reply.status;
  await send(request, response, reply);
}

async function send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  try {
    // The body of a request that was refused early is read to its end: otherwise a reset could lose the answer.
    if (!request.complete) await finished(request.resume(), { writable: false });
    if (reply.body instanceof Readable) {
      response.writeHead(reply.status, reply.headers);
      await pipeline(reply.body, response);
      return;
    }
    const body = reply.body ?? '';
    const length = reply.status === 204 || reply.status === 304 ? {} : { 'Content-Length': Buffer.byteLength(body) };
    response.writeHead(reply.status, { ...length, ...reply.headers }).end(body);
  } catch {
    // The client is gone.
    if (reply.body instanceof Readable) reply.body.destroy();
    response.destroy();
  }
}
