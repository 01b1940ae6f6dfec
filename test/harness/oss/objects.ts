/** Calls about whole objects: put, get, head, delete. */
import { type Handler, header, type OssCall, quote, readObjectHeaders, receiveBody, receiveText } from './call.ts';
import { refuseConditions, refuseOverwrite, type Reply, xmlReply } from './call.ts';
import { OssError } from './errors.ts';
import { readRange } from './range.ts';
import type { StoredObject } from './storage.ts';
import { element, findAll, findText, renderXml } from './xml.ts';

// S3: DeleteObjects takes up to 1000 keys of up to 1024 bytes.
const MOST_DELETE_BYTES = 2 * 1024 * 1024;
const MOST_DELETE_KEYS = 1000;

export const putObject: Handler = async (call) => {
  refuseConditions(call);
  refuseOverwrite(call);
  const blob = await receiveBody(call);
  try {
    // Another writer may have been faster.
    refuseOverwrite(call);
  } catch (error) {
    call.storage.discard([blob]);
    throw error;
  }
  const object = call.storage.put({
    key: call.key,
    etag: blob.md5.toUpperCase(),
    headers: readObjectHeaders(call),
    blobs: [blob],
  });
  return { status: 200, headers: { ETag: quote(object.etag) } };
};

export const getObject: Handler = (call) => {
  const object = findObject(call);
  const notModified = checkConditions(call, object);
  if (notModified) return notModified;
  const range = readRange(header(call, 'range'), object.size, header(call, 'x-oss-range-behavior') === 'standard');
  const headers = describe(call, object);
  if (call.request.method === 'HEAD') return { status: 200, headers: { ...headers, 'Content-Length': object.size } };
  const { from, to } = range ?? { from: 0, to: object.size - 1 };
  return {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      ...(range ? { 'Content-Range': `bytes ${from}-${to}/${object.size}` } : {}),
      'Content-Length': to - from + 1,
    },
    body: call.storage.read(object, from, to),
  };
};

export const deleteObject: Handler = ({ storage, key }) => {
  storage.delete(key);
  return { status: 204 };
};

export const deleteObjects: Handler = async (call) => {
  // OSS requires the MD5, where S3 accepts any checksum.
  if (header(call, 'content-md5') === undefined)
    throw new OssError('MissingArgument', 'Missing Some Required Arguments.');
  const xml = await receiveText(call, MOST_DELETE_BYTES);
  const keys = findAll(xml, 'Object').map((entry) => findText(entry, 'Key'));
  if (keys.length === 0 || keys.length > MOST_DELETE_KEYS || keys.includes(undefined))
    throw new OssError('MalformedXML');
  const deleted = [];
  for (const key of keys) {
    if (key === undefined) continue;
    call.storage.delete(key);
    deleted.push(element('Deleted', element('Key', key)));
  }
  const isQuiet = findText(xml, 'Quiet') === 'true';
  return xmlReply(renderXml(element('DeleteResult', ...(isQuiet ? [] : deleted))));
};

function findObject({ storage, key }: OssCall): StoredObject {
  const object = storage.objects.get(key);
  if (!object) throw new OssError('NoSuchKey');
  return object;
}

function describe(call: OssCall, object: StoredObject): Record<string, string> {
  const headers: Record<string, string> = {
    ...object.headers,
    ETag: quote(object.etag),
    'Last-Modified': object.lastModified.toUTCString(),
    'Accept-Ranges': 'bytes',
  };
  for (const [name, value] of call.query) {
    const [, overridden] = /^response-(.+)$/.exec(name) ?? [];
    if (overridden !== undefined) headers[overridden] = value;
  }
  // The default domain does not let a browser show anything.
  const disposition = headers['content-disposition'] ?? '';
  if (call.isDefaultDomain && !/^attachment\b/i.test(disposition)) headers['content-disposition'] = 'attachment';
  return headers;
}

function checkConditions(call: OssCall, object: StoredObject): Reply | undefined {
  const names = (etags: string | undefined): boolean =>
    etags?.split(',').some((etag) => ['*', object.etag].includes(etag.trim().replace(/^"|"$/g, ''))) ?? false;
  const isNewerThan = (date: string): boolean =>
    Math.floor(object.lastModified.getTime() / 1000) * 1000 > Date.parse(date);
  const ifMatch = header(call, 'if-match');
  const ifUnmodified = header(call, 'if-unmodified-since');
  if (ifMatch !== undefined && !names(ifMatch)) throw new OssError('PreconditionFailed');
  if (ifUnmodified !== undefined && isNewerThan(ifUnmodified)) throw new OssError('PreconditionFailed');
  const ifNoneMatch = header(call, 'if-none-match');
  const ifModified = header(call, 'if-modified-since');
  if (names(ifNoneMatch) || (ifModified !== undefined && !isNewerThan(ifModified))) {
    return { status: 304, headers: { ETag: quote(object.etag) } };
  }
  return undefined;
}
