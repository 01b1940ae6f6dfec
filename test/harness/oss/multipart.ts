/** Multipart uploads. */
import { randomBytes } from 'node:crypto';
import { type Handler, header, type OssCall, quote, readObjectHeaders, receiveBody, receiveText } from './call.ts';
import { refuseConditions, refuseOverwrite, xmlReply } from './call.ts';
import { OssError } from './errors.ts';
import { readRange } from './range.ts';
import type { Blob, OpenUpload, StoredObject, StoredPart } from './storage.ts';
import { element, findAll, findText, renderXml } from './xml.ts';

// OSS: parts are numbered 1 to 10,000; all but the last have at least 100 KB, which Complete checks.
const MOST_PARTS = 10_000;
const SMALLEST_PART_BYTES = 100 * 1024;
const MOST_COMPLETE_BYTES = 4 * 1024 * 1024;
const MOST_LISTED_PARTS = 1000;

export const createMultipartUpload: Handler = (call) => {
  refuseOverwrite(call);
  const upload: OpenUpload = {
    uploadId: randomBytes(16).toString('hex').toUpperCase(),
    key: call.key,
    initiated: new Date(),
    headers: readObjectHeaders(call),
    parts: new Map(),
  };
  call.storage.uploads.set(upload.uploadId, upload);
  return xmlReply(
    renderXml(
      element(
        'InitiateMultipartUploadResult',
        element('Bucket', call.settings.bucket),
        element('Key', call.key),
        element('UploadId', upload.uploadId),
      ),
    ),
  );
};

export const uploadPart: Handler = async (call) => {
  const number = call.partNumber ?? Number.NaN;
  if (!isPartNumber(number)) throw new OssError('InvalidArgument', 'Part number must be an integer from 1 to 10000.');
  findUpload(call);
  const blob = await receiveBody(call);
  const part = keepPart(call, number, blob);
  return { status: 200, headers: { ETag: quote(part.etag) } };
};

/** Keeps stored bytes as a part, in the place of an earlier one. */
function keepPart({ storage, uploadId = '' }: OssCall, number: number, blob: Blob): StoredPart {
  // The upload may have been completed or aborted while the bytes arrived.
  const upload = storage.uploads.get(uploadId);
  if (!upload) {
    storage.discard([blob]);
    throw new OssError('NoSuchUpload');
  }
  const earlier = upload.parts.get(number);
  const part: StoredPart = { number, etag: blob.md5.toUpperCase(), lastModified: new Date(), blob };
  upload.parts.set(number, part);
  if (earlier) storage.discard([earlier.blob]);
  return part;
}

/**
 * Copies a range of an object of this bucket as a part. As for GET, OSS copies the whole object where the range does not fit.
 */
export const uploadPartCopy: Handler = async (call) => {
  const number = call.partNumber ?? Number.NaN;
  if (!isPartNumber(number)) throw new OssError('InvalidArgument', 'Part number must be an integer from 1 to 10000.');
  if (Number(header(call, 'content-length') ?? 0) > 0) throw new OssError('InvalidArgument', 'A copy has no body.');
  findUpload(call);
  const source = findSource(call);
  const range = readRange(header(call, 'x-amz-copy-source-range'), source.size, false);
  const { from, to } = range ?? { from: 0, to: source.size - 1 };
  const blob = await call.storage.receive(call.storage.read(source, from, to), { sha256: false });
  const part = keepPart(call, number, blob);
  return xmlReply(
    renderXml(
      element(
        'CopyPartResult',
        element('LastModified', part.lastModified.toISOString()),
        element('ETag', quote(part.etag)),
      ),
    ),
  );
};

/** The object that `x-amz-copy-source` names: `/<bucket>/<key>`, URL-encoded. The double has a single bucket. */
function findSource(call: OssCall): StoredObject {
  const [, bucket, encoded = ''] = /^\/([^/]+)\/(.+)$/.exec(header(call, 'x-amz-copy-source') ?? '') ?? [];
  if (bucket === undefined || /[^\w.~!*'()/%-]/.test(encoded)) {
    throw new OssError('InvalidArgument', 'The source of the copy is not /<bucket>/<key>, URL-encoded.');
  }
  if (bucket !== call.settings.bucket) throw new OssError('NoSuchBucket');
  let key: string;
  try {
    key = decodeURIComponent(encoded);
  } catch {
    throw new OssError('InvalidArgument', 'The source of the copy cannot be decoded.');
  }
  const object = call.storage.objects.get(key);
  if (!object) throw new OssError('NoSuchKey');
  return object;
}

export const completeMultipartUpload: Handler = async (call) => {
  refuseConditions(call);
  findUpload(call);
  const xml = await receiveText(call, MOST_COMPLETE_BYTES);
  const upload = findUpload(call);
  const parts = pickParts(upload, xml);
  refuseOverwrite(call);
  call.storage.uploads.delete(upload.uploadId);
  const object = call.storage.put({
    key: upload.key,
    // Unlike S3's, this ETag does not follow from the MD5s of the parts.
    etag: `${randomBytes(16).toString('hex').toUpperCase()}-${parts.length}`,
    headers: upload.headers,
    blobs: parts.map((part) => part.blob),
  });
  const used = new Set(parts);
  call.storage.discard([...upload.parts.values()].filter((part) => !used.has(part)).map((part) => part.blob));
  return xmlReply(
    renderXml(
      element(
        'CompleteMultipartUploadResult',
        element('Location', `http://${call.request.headers.host ?? ''}/${encodeURI(upload.key)}`),
        element('Bucket', call.settings.bucket),
        element('Key', upload.key),
        element('ETag', quote(object.etag)),
      ),
    ),
  );
};

export const abortMultipartUpload: Handler = (call) => {
  const upload = findUpload(call);
  call.storage.uploads.delete(upload.uploadId);
  call.storage.discard([...upload.parts.values()].map((part) => part.blob));
  return { status: 204 };
};

export const listParts: Handler = (call) => {
  const upload = findUpload(call);
  const after = Number(call.query.get('part-number-marker') ?? 0);
  const most = Math.min(Number(call.query.get('max-parts') ?? MOST_LISTED_PARTS), MOST_LISTED_PARTS);
  const left = [...upload.parts.values()].filter((part) => part.number > after).sort((a, b) => a.number - b.number);
  const page = left.slice(0, most);
  return xmlReply(
    renderXml(
      element(
        'ListPartsResult',
        element('Bucket', call.settings.bucket),
        element('Key', upload.key),
        element('UploadId', upload.uploadId),
        element('PartNumberMarker', after),
        element('NextPartNumberMarker', page.at(-1)?.number ?? after),
        element('MaxParts', most),
        element('IsTruncated', page.length < left.length),
        ...page.map((part) =>
          element(
            'Part',
            element('PartNumber', part.number),
            element('LastModified', part.lastModified.toISOString()),
            element('ETag', quote(part.etag)),
            element('Size', part.blob.size),
          ),
        ),
      ),
    ),
  );
};

function isPartNumber(number: number): boolean {
  return Number.isInteger(number) && number >= 1 && number <= MOST_PARTS;
}

function findUpload({ storage, uploadId = '', key }: OssCall): OpenUpload {
  const upload = storage.uploads.get(uploadId);
  if (!upload || upload.key !== key) throw new OssError('NoSuchUpload');
  return upload;
}

/** Finds the parts that Complete names. @throws OssError unless all exist, are in order, and are large enough. */
function pickParts(upload: OpenUpload, xml: string): StoredPart[] {
  const named = findAll(xml, 'Part').map((entry) => ({
    number: Number(findText(entry, 'PartNumber') ?? Number.NaN),
    etag: findText(entry, 'ETag')?.replace(/^"|"$/g, ''),
  }));
  if (named.length === 0) throw new OssError('MalformedXML');
  const parts: StoredPart[] = [];
  let previous = 0;
  for (const { number, etag } of named) {
    if (!isPartNumber(number) || number <= previous) throw new OssError('InvalidPartOrder');
    previous = number;
    const part = upload.parts.get(number);
    // It is not known whether OSS ignores the case of an ETag: the double wants it exactly as UploadPart has answered.
    if (!part || part.etag !== etag) throw new OssError('InvalidPart');
    parts.push(part);
  }
  if (parts.slice(0, -1).some((part) => part.blob.size < SMALLEST_PART_BYTES)) throw new OssError('EntityTooSmall');
  // It is not known either what OSS does with a single empty part: no caller may rely on it.
  if (parts.every((part) => part.blob.size === 0)) throw new OssError('InvalidPart', 'An object of an empty part.');
  return parts;
}
