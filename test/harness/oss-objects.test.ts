/** The OSS double keeps objects and parts as OSS does, and refuses what does not fit what it has. */
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { makeBytes, md5 } from './bytes.ts';
import { contentMd5, sendRaw } from './oss/raw.ts';
import { Bucket, openClient, openOss, refusal, useOss } from './oss/suite.ts';

const KIB = 1024;

const suite = useOss();

describe('objects', () => {
  test('a missing key; deleting it is no error', async () => {
    expect(await refusal(suite.client.send(new GetObjectCommand({ Bucket, Key: 'missing' })))).toEqual([
      404,
      'NoSuchKey',
    ]);
    expect(await refusal(suite.client.send(new HeadObjectCommand({ Bucket, Key: 'missing' })))).toEqual([
      404,
      'NotFound',
    ]);
    await suite.client.send(new DeleteObjectCommand({ Bucket, Key: 'missing' }));
  });

  test('ranges: met ones are parts, all others the whole object with 200', async () => {
    const bytes = makeBytes(1000);
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'ranges', Body: bytes }));
    const get = async (range: string, more = {}) => {
      const answer = await sendRaw(suite.oss, 'GET', '/ranges', { headers: { range, ...more } });
      return [answer.status, answer.headers['content-range'], Number(answer.headers['content-length'])];
    };
    expect(await get('bytes=0-9')).toEqual([206, 'bytes 0-9/1000', 10]);
    expect(await get('bytes=990-')).toEqual([206, 'bytes 990-999/1000', 10]);
    expect(await get('bytes=-10')).toEqual([206, 'bytes 990-999/1000', 10]);
    expect(await get('bytes=990-1000')).toEqual([200, undefined, 1000]);
    expect(await get('bytes=1000-')).toEqual([200, undefined, 1000]);
    expect(await get('bytes=-1001')).toEqual([200, undefined, 1000]);
    expect(await get('bytes=9-0')).toEqual([200, undefined, 1000]);
    const standard = { 'x-oss-range-behavior': 'standard' };
    expect(await get('bytes=990-1000', standard)).toEqual([206, 'bytes 990-999/1000', 10]);
    expect((await get('bytes=1000-', standard))[0]).toBe(416);
    expect(await suite.read('ranges', 'bytes=100-299')).toEqual(bytes.subarray(100, 300));
    expect(await suite.read('ranges', 'bytes=100-9999')).toEqual(bytes);
  });

  test('the default domain forces an attachment', async () => {
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'page', Body: 'a', ContentType: 'text/html' }));
    const { headers } = await sendRaw(suite.oss, 'GET', '/page?response-content-disposition=inline');
    expect(headers).toMatchObject({ 'content-disposition': 'attachment', 'content-type': 'text/html' });
  });

  test('conditions on reading', async () => {
    const { ETag } = await suite.client.send(new PutObjectCommand({ Bucket, Key: 'seen', Body: 'a' }));
    const get = (headers: Record<string, string>) => sendRaw(suite.oss, 'GET', '/seen', { headers });
    expect((await get({ 'if-none-match': ETag ?? '' })).status).toBe(304);
    expect((await get({ 'if-match': ETag ?? '' })).status).toBe(200);
    expect((await get({ 'if-match': '"other"' })).status).toBe(412);
  });

  test('a reader keeps what it reads when the key is overwritten', async () => {
    const bytes = makeBytes(4 * 1024 * KIB, 7);
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: bytes }));
    const { Body } = await suite.client.send(new GetObjectCommand({ Bucket, Key: 'kept' }));
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'new' }));
    expect(md5((await Body?.transformToByteArray()) ?? new Uint8Array())).toBe(md5(bytes));
    expect(await suite.read('kept')).toEqual(Buffer.from('new'));
  });

  test('DeleteObjects needs a Content-MD5, which the SDK does not send', async () => {
    const Delete = { Objects: [{ Key: 'del-1' }, { Key: 'del-2' }] };
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'del-1', Body: 'a' }));
    expect(await refusal(suite.client.send(new DeleteObjectsCommand({ Bucket, Delete })))).toEqual([
      400,
      'MissingArgument',
    ]);
    const body = '<Delete><Object><Key>del-1</Key></Object><Object><Key>del-2</Key></Object></Delete>';
    const answer = await sendRaw(suite.oss, 'POST', '/?delete', { body, headers: { 'content-md5': contentMd5(body) } });
    expect(answer.status).toBe(200);
    expect(answer.body).toContain('<Deleted><Key>del-1</Key></Deleted>');
    expect(suite.isStored('del-1')).toBe(false);
  });

  test('the list has everything, page by page', async () => {
    const other = await openOss({});
    const there = openClient(other);
    for (const Key of ['a', 'b/1', 'b/2', 'c & d', 'ü'])
      await there.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const keys: (string | undefined)[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await there.send(
        new ListObjectsV2Command({ Bucket, MaxKeys: 2, ...(ContinuationToken ? { ContinuationToken } : {}) }),
      );
      keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken);
    expect(keys).toEqual(['a', 'b/1', 'b/2', 'c & d', 'ü']);
    const folders = await there.send(new ListObjectsV2Command({ Bucket, Delimiter: '/' }));
    expect(folders.CommonPrefixes).toEqual([{ Prefix: 'b/' }]);
    expect(folders.KeyCount).toBe(4);
    const inside = await there.send(new ListObjectsV2Command({ Bucket, Prefix: 'b/' }));
    expect(inside.Contents?.map(({ Key, Size }) => [Key, Size])).toEqual([
      ['b/1', 3],
      ['b/2', 3],
    ]);
  });
});

describe('multipart uploads', () => {
  test('parts in any order make the object; its ETag is opaque', async () => {
    const bytes = makeBytes(300 * KIB, 3);
    const UploadId = await suite.begin('parts');
    const third = await suite.putPart('parts', UploadId, 3, bytes.subarray(200 * KIB));
    const first = await suite.putPart('parts', UploadId, 1, bytes.subarray(0, 100 * KIB));
    await suite.putPart('parts', UploadId, 2, makeBytes(100 * KIB, 99));
    const second = await suite.putPart('parts', UploadId, 2, bytes.subarray(100 * KIB, 200 * KIB));
    await suite.putPart('parts', UploadId, 10_000, Buffer.from('not used'));
    expect(first.ETag).toBe(`"${md5(bytes.subarray(0, 100 * KIB)).toUpperCase()}"`);
    const listed = await suite.client.send(new ListPartsCommand({ Bucket, Key: 'parts', UploadId, MaxParts: 2 }));
    expect(listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, 100 * KIB],
      [2, 100 * KIB],
    ]);
    expect(listed).toMatchObject({ IsTruncated: true, NextPartNumberMarker: '2' });
    const done = await suite.complete('parts', UploadId, [first, second, third]);
    expect(done.ETag).toMatch(/^"[\dA-F]{32}-3"$/);
    expect((await suite.read('parts')).equals(bytes)).toBe(true);
    const inside = await suite.read('parts', `bytes=${90 * KIB}-${210 * KIB - 1}`);
    expect(inside.equals(bytes.subarray(90 * KIB, 210 * KIB))).toBe(true);
  });

  test.each([0, 10_001])('part number %i', async (PartNumber) => {
    const UploadId = await suite.begin('numbers');
    const part = { PartNumber, ETag: '"A"' };
    const put = new UploadPartCommand({ Bucket, Key: 'numbers', UploadId, PartNumber, Body: 'a' });
    expect(await refusal(suite.client.send(put))).toEqual([400, 'InvalidArgument']);
    expect(await refusal(suite.complete('numbers', UploadId, [part]))).toEqual([400, 'InvalidPartOrder']);
  });

  test('Complete: descending, twice, wrong, missing, too small; the upload stays open', async () => {
    const Key = 'strict';
    const UploadId = await suite.begin(Key);
    const small = await suite.putPart(Key, UploadId, 1, makeBytes(100 * KIB - 1));
    const second = await suite.putPart(Key, UploadId, 2, makeBytes(100 * KIB));
    const last = await suite.putPart(Key, UploadId, 3, makeBytes(10));
    const refused = async (...parts: { PartNumber: number; ETag: string }[]) =>
      refusal(suite.complete(Key, UploadId, parts));
    expect(await refused(second, small)).toEqual([400, 'InvalidPartOrder']);
    expect(await refused(second, second)).toEqual([400, 'InvalidPartOrder']);
    expect(await refused({ ...second, ETag: '"0"' })).toEqual([400, 'InvalidPart']);
    expect(await refused({ ...second, ETag: second.ETag.toLowerCase() })).toEqual([400, 'InvalidPart']);
    expect(await refused(second, last, { PartNumber: 4, ETag: last.ETag })).toEqual([400, 'InvalidPart']);
    expect(await refused(small, second)).toEqual([400, 'EntityTooSmall']);
    expect(await refused()).toEqual([400, 'MalformedXML']);
    expect(suite.oss.uploads().find(({ uploadId }) => uploadId === UploadId)?.parts).toHaveLength(3);
    await suite.complete(Key, UploadId, [second, last]);
  });

  test('an upload of one empty part', async () => {
    const UploadId = await suite.begin('empty-part');
    const part = await suite.putPart('empty-part', UploadId, 1, Buffer.alloc(0));
    expect(await refusal(suite.complete('empty-part', UploadId, [part]))).toEqual([400, 'InvalidPart']);
  });

  test('a copied part has the range of another object, or all of it where the range does not fit', async () => {
    const bytes = makeBytes(300 * KIB);
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'a source', Body: bytes }));
    const UploadId = await suite.begin('copied');
    const copy = async (PartNumber: number, more: { CopySource?: string; CopySourceRange?: string }) => {
      const part = { Bucket, Key: 'copied', UploadId, PartNumber, CopySource: `/${Bucket}/a%20source` };
      const { CopyPartResult } = await suite.client.send(new UploadPartCopyCommand({ ...part, ...more }));
      return { PartNumber, ETag: CopyPartResult?.ETag ?? '' };
    };
    const etagOf = (part: Buffer): string => `"${md5(part).toUpperCase()}"`;
    const half = bytes.subarray(0, 150 * KIB);
    const parts = [await copy(1, { CopySourceRange: `bytes=0-${150 * KIB - 1}` }), await copy(2, {})];
    expect(parts.map(({ ETag }) => ETag)).toEqual([etagOf(half), etagOf(bytes)]);
    expect((await copy(3, { CopySourceRange: `bytes=1-${300 * KIB}` })).ETag).toBe(etagOf(bytes));
    expect(await refusal(copy(10_001, {}))).toEqual([400, 'InvalidArgument']);
    for (const [CopySource, ...refused] of [
      [`${Bucket}/a%20source`, 400, 'InvalidArgument'],
      [`/${Bucket}/a source`, 400, 'InvalidArgument'],
      [`/${Bucket}/%ff`, 400, 'InvalidArgument'],
      [`/${Bucket}/none`, 404, 'NoSuchKey'],
      ['/other/a%20source', 404, 'NoSuchBucket'],
    ] as const) {
      expect(await refusal(copy(1, { CopySource })), CopySource).toEqual(refused);
    }
    const path = `/copied?partNumber=1&uploadId=${UploadId}`;
    const headers = { 'x-amz-copy-source': `/${Bucket}/a%20source` };
    expect(await sendRaw(suite.oss, 'PUT', path, { headers, body: 'a' })).toMatchObject({ status: 400 });
    const conditional = { ...headers, 'x-amz-copy-source-if-match': '"A"' };
    expect(await sendRaw(suite.oss, 'PUT', path, { headers: conditional })).toMatchObject({ status: 400 });
    expect(await sendRaw(suite.oss, 'PUT', '/whole', { headers })).toMatchObject({ status: 400 });
    await suite.complete('copied', UploadId, parts);
    expect(await suite.read('copied')).toEqual(Buffer.concat([half, bytes]));
    const gone = { Bucket, Key: 'copied', UploadId, PartNumber: 1, CopySource: `/${Bucket}/a%20source` };
    expect(await refusal(suite.client.send(new UploadPartCopyCommand(gone)))).toEqual([404, 'NoSuchUpload']);
  });

  test('an upload that is unknown, of another key, completed or aborted', async () => {
    const gone = [404, 'NoSuchUpload'];
    const Key = 'gone';
    const put = (UploadId: string) =>
      suite.client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'a' }));
    const abort = (UploadId: string) => suite.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    expect(await refusal(put('unknown'))).toEqual(gone);
    expect(await refusal(put(await suite.begin('other')))).toEqual(gone);
    const completed = await suite.begin(Key);
    const part = await suite.putPart(Key, completed, 1, Buffer.from('a'));
    await suite.complete(Key, completed, [part]);
    expect(await refusal(suite.complete(Key, completed, [part]))).toEqual(gone);
    expect(await refusal(put(completed))).toEqual(gone);
    expect(await refusal(abort(completed))).toEqual(gone);
    const aborted = await suite.begin(Key);
    await suite.putPart(Key, aborted, 1, Buffer.from('a'));
    await abort(aborted);
    expect(await refusal(abort(aborted))).toEqual(gone);
    expect(await refusal(suite.client.send(new ListPartsCommand({ Bucket, Key, UploadId: aborted })))).toEqual(gone);
  });
});
