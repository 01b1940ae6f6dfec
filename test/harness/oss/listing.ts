/** Calls about the bucket itself: HeadBucket, GetBucketLocation, ListObjects. */
import { type Handler, type OssCall, quote, xmlReply } from './call.ts';
import { OssError } from './errors.ts';
import { type Element, element, renderXml } from './xml.ts';

const MOST_KEYS = 1000;

export const headBucket: Handler = () => ({ status: 200 });

export const getBucketLocation: Handler = ({ settings }) =>
  xmlReply(renderXml(element('LocationConstraint', settings.region)));

export const listObjects: Handler = (call) => {
  const isSecond = call.operation === 'ListObjectsV2';
  const prefix = call.query.get('prefix') ?? '';
  const delimiter = call.query.get('delimiter') ?? '';
  const most = readMost(call);
  const after = readAfter(call, isSecond);
  const entries: Element[] = [];
  const folders = new Set<string>();
  let last = '';
  let isTruncated = false;
  for (const object of [...call.storage.objects.values()].sort((a, b) => compareUtf8(a.key, b.key))) {
    if (!object.key.startsWith(prefix) || compareUtf8(object.key, after) <= 0) continue;
    const end = delimiter === '' ? -1 : object.key.indexOf(delimiter, prefix.length);
    const folder = end < 0 ? undefined : object.key.slice(0, end + delimiter.length);
    if (folder !== undefined && (folders.has(folder) || after === folder)) continue;
    if (entries.length + folders.size >= most) {
      isTruncated = true;
      break;
    }
    last = folder ?? object.key;
    if (folder !== undefined) folders.add(folder);
    else {
      entries.push(
        element(
          'Contents',
          element('Key', name(call, object.key)),
          element('LastModified', object.lastModified.toISOString()),
          element('ETag', quote(object.etag)),
          element('Size', object.size),
          element('StorageClass', 'STANDARD'),
        ),
      );
    }
  }
  const token = Buffer.from(last).toString('base64url');
  return xmlReply(
    renderXml(
      element(
        'ListBucketResult',
        element('Name', call.settings.bucket),
        element('Prefix', name(call, prefix)),
        element('MaxKeys', most),
        element('IsTruncated', isTruncated),
        ...(isSecond ? [element('KeyCount', entries.length + folders.size)] : []),
        ...(isTruncated
          ? [isSecond ? element('NextContinuationToken', token) : element('NextMarker', name(call, last))]
          : []),
        ...entries,
        ...[...folders].map((folder) => element('CommonPrefixes', element('Prefix', name(call, folder)))),
      ),
    ),
  );
};

function readMost({ query }: OssCall): number {
  const most = Number(query.get('max-keys') ?? MOST_KEYS);
  if (!Number.isInteger(most) || most < 1 || most > MOST_KEYS)
    throw new OssError('InvalidArgument', 'max-keys is 1 to 1000.');
  return most;
}

function readAfter({ query }: OssCall, isSecond: boolean): string {
  if (!isSecond) return query.get('marker') ?? '';
  const token = query.get('continuation-token');
  return token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString();
}

function name({ query }: OssCall, key: string): string {
  return query.get('encoding-type') === 'url' ? encodeURIComponent(key) : key;
}

function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
