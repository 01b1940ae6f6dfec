/** Finds out which S3 call an HTTP request is: for the double, and for the rules of the fault proxy. */
import { isIP } from 'node:net';

export type S3Operation =
  | 'ListBuckets'
  | 'HeadBucket'
  | 'CreateBucket'
  | 'DeleteBucket'
  | 'GetBucketLocation'
  | 'ListObjects'
  | 'ListObjectsV2'
  | 'ListMultipartUploads'
  | 'DeleteObjects'
  | 'PutObject'
  | 'CopyObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'UploadPartCopy'
  | 'ListParts'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  /** A subresource that the service does not use: `?tagging`, `?acl`, `?lifecycle` and the like. */
  | 'Other';

export interface S3Call {
  operation: S3Operation;
  key: string;
  query: URLSearchParams;
  partNumber: number | undefined;
  uploadId: string | undefined;
}

interface RequestLine {
  method: string;
  /** Path and query as they were sent. */
  target: string;
  headers: { host?: string | undefined; 'x-amz-copy-source'?: string | string[] | undefined };
}

/** Reads path style where the host is an address or `localhost`, else virtual-hosted style. */
export function readS3Call(request: RequestLine): S3Call {
  const { path, query } = splitTarget(request.target);
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  const isPathStyle = isIP(host.replace(/^\[|\]$/g, '')) !== 0 || host === 'localhost';
  // Path style names the bucket in front of the key.
  const [, bucket = '', key = ''] = isPathStyle
    ? (/^\/([^/]*)\/?(.*)$/s.exec(path) ?? [])
    : [path, host, path.slice(1)];
  const params = new URLSearchParams(query);
  const partNumber = params.get('partNumber');
  return {
    operation: bucket === '' ? 'ListBuckets' : nameOperation(request, key, params),
    key: decodeKey(key),
    query: params,
    partNumber: partNumber === null ? undefined : Number(partNumber),
    uploadId: params.get('uploadId') ?? undefined,
  };
}

export function splitTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf('?');
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Query parameters that name no subresource; `x-id` is the SDK's name for the call. */
const PLAIN = /^(?:x-id|x-amz-.*|response-.*)$/i;
const OF_UPLOADS = ['uploadId', 'partNumber'];
const LISTING =
  /^(?:list-type|prefix|delimiter|max-keys|marker|start-after|continuation-token|encoding-type|fetch-owner)$/;

function nameOperation({ method, headers }: RequestLine, key: string, query: URLSearchParams): S3Operation {
  const names = [...query.keys()].filter((name) => !PLAIN.test(name));
  const only = (name: string): boolean => names.length === 1 && names[0] === name;
  if (key === '') {
    if (method === 'GET' && only('location')) return 'GetBucketLocation';
    if (method === 'POST' && only('delete')) return 'DeleteObjects';
    if (method === 'GET' && query.has('uploads')) return 'ListMultipartUploads';
    if (method === 'GET' && names.every((name) => LISTING.test(name))) {
      return query.get('list-type') === '2' ? 'ListObjectsV2' : 'ListObjects';
    }
    if (names.length > 0) return 'Other';
    return ({ HEAD: 'HeadBucket', PUT: 'CreateBucket', DELETE: 'DeleteBucket' }[method] as S3Operation) ?? 'Other';
  }
  if (query.has('uploadId')) {
    const ofUpload: Record<string, S3Operation> = {
      PUT: headers['x-amz-copy-source'] === undefined ? 'UploadPart' : 'UploadPartCopy',
      POST: 'CompleteMultipartUpload',
      DELETE: 'AbortMultipartUpload',
      GET: 'ListParts',
    };
    // ListParts has paging parameters of its own.
    if (method === 'GET' || names.every((name) => OF_UPLOADS.includes(name))) return ofUpload[method] ?? 'Other';
    return 'Other';
  }
  if (method === 'POST' && only('uploads')) return 'CreateMultipartUpload';
  if (names.length > 0) return 'Other';
  const ofObject: Record<string, S3Operation> = {
    PUT: headers['x-amz-copy-source'] === undefined ? 'PutObject' : 'CopyObject',
    GET: 'GetObject',
    HEAD: 'HeadObject',
    DELETE: 'DeleteObject',
  };
  return ofObject[method] ?? 'Other';
}

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
