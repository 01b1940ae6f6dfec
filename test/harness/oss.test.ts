/** What the OSS double refuses whatever is stored: each refusal met by a plain SDK call or a signed request, beside what it has to accept. */
import {
  CreateMultipartUploadCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { md5 } from './bytes.ts';
import { RESOLVE_HERE } from './oss/lookup-here.ts';
import { contentMd5, sendRaw } from './oss/raw.ts';
import { Bucket, openClient, openOss, refusal, useOss } from './oss/suite.ts';

const suite = useOss();

describe('addresses', () => {
  const put = { Key: 'a', Body: 'a' };

  test('path style is refused', async () => {
    const pathStyle = openClient(suite.oss, { forcePathStyle: true });
    const answer = await refusal(pathStyle.send(new PutObjectCommand({ Bucket, ...put })));
    expect(answer).toEqual([403, 'SecondLevelDomainForbidden']);
  });

  test('an IP endpoint, which makes the SDK fall back to path style, is refused', async () => {
    const byAddress = openClient(suite.oss, { endpoint: `http://127.0.0.1:${suite.oss.port}` });
    const answer = await refusal(byAddress.send(new PutObjectCommand({ Bucket, ...put })));
    expect(answer).toEqual([403, 'SecondLevelDomainForbidden']);
  });

  test('another bucket is not there', async () => {
    expect(await refusal(suite.client.send(new PutObjectCommand({ Bucket: 'nobody-s', ...put })))).toEqual([
      404,
      'NoSuchBucket',
    ]);
  });

  test('the endpoint of another region is refused', async () => {
    const elsewhere = openClient(suite.oss, { endpoint: `http://s3.oss-cn-beijing.aliyuncs.com:${suite.oss.port}` });
    expect(await refusal(elsewhere.send(new PutObjectCommand({ Bucket, ...put })))).toEqual([403, 'AccessDenied']);
  });

  test('option: the public host is refused, the internal one and an own domain are not', async () => {
    const closed = await openOss({ publicHost: 'forbidden', ownDomain: 'files.example.test' });
    const publicly = openClient(closed);
    expect(await refusal(publicly.send(new PutObjectCommand({ Bucket, ...put })))).toEqual([
      400,
      'PublicEndpointForbidden',
    ]);
    const internal = openClient(closed, { endpoint: `http://s3.oss-cn-hangzhou-internal.aliyuncs.com:${closed.port}` });
    await internal.send(new PutObjectCommand({ Bucket, ...put }));
    const own = openClient(closed, { bucketEndpoint: true });
    const address = `http://files.example.test:${closed.port}`;
    const found = await own.send(new GetObjectCommand({ Bucket: address, Key: 'a' }));
    expect(await found.Body?.transformToString()).toBe('a');
    expect(found.ContentDisposition).toBeUndefined();
  });

  test('RESOLVE_HERE makes another process reach it', async () => {
    const script = `const answer = await fetch(${JSON.stringify(`${suite.oss.endpoint}/a`)}); console.log(answer.status, answer.headers.get('server'))`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: { NODE_OPTIONS: `--import=${RESOLVE_HERE}` },
    });
    expect(stdout).toBe('403 AliyunOSS\n');
  });
});

describe('bodies', () => {
  test.each(['InvalidArgument', 'NotImplemented'] as const)('option: aws-chunked is refused with %s', async (code) => {
    const other = await openOss({ chunkedBodies: code });
    // The SDK's default: a trailing checksum on streams.
    const byDefault = openClient(other, { requestChecksumCalculation: 'WHEN_SUPPORTED' });
    const put = { Bucket, Key: 'a', Body: Readable.from([Buffer.from('abc')]), ContentLength: 3 };
    expect(await refusal(byDefault.send(new PutObjectCommand(put)))).toEqual([400, code]);
    const part = { ...put, Body: Readable.from([Buffer.from('abc')]), UploadId: 'any', PartNumber: 1 };
    expect(await refusal(byDefault.send(new UploadPartCommand(part)))).toEqual([400, code]);
  });

  test('a x-amz-content-sha256 that is neither hex nor UNSIGNED-PAYLOAD', async () => {
    const answer = await sendRaw(suite.oss, 'PUT', '/a', { body: 'a', payloadHash: 'required' });
    expect(answer).toMatchObject({ status: 400, code: 'InvalidArgument' });
  });

  test('a wrong Content-MD5, of an object and of a part, stores nothing', async () => {
    const wrong = { Body: 'abc', ContentMD5: contentMd5('abd') };
    expect(await refusal(suite.client.send(new PutObjectCommand({ Bucket, Key: 'wrong', ...wrong })))).toEqual([
      400,
      'InvalidDigest',
    ]);
    const UploadId = await suite.begin('wrong');
    const part = new UploadPartCommand({ Bucket, Key: 'wrong', UploadId, PartNumber: 1, ...wrong });
    expect(await refusal(suite.client.send(part))).toEqual([400, 'InvalidDigest']);
    expect(suite.isStored('wrong')).toBe(false);
    expect(suite.oss.uploads().find(({ uploadId }) => uploadId === UploadId)?.parts).toEqual([]);
  });

  test('no length and not chunked', async () => {
    const answer = await sendRaw(suite.oss, 'PUT', '/a', { withoutLength: true });
    expect(answer).toMatchObject({ status: 411, code: 'MissingContentLength' });
  });

  test('accepted: no length, but chunked', async () => {
    const headers = { 'transfer-encoding': 'chunked' };
    expect((await sendRaw(suite.oss, 'PUT', '/chunked', { body: 'abc', headers })).status).toBe(200);
    expect(await suite.read('chunked')).toEqual(Buffer.from('abc'));
  });

  test('a body that breaks off stores nothing', async () => {
    const before = suite.oss.requests().length;
    const url = new URL(await getSignedUrl(suite.client, new PutObjectCommand({ Bucket, Key: 'broken' })));
    const socket = connect(suite.oss.port, '127.0.0.1');
    socket.write(`PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: 1000\r\n\r\nabc`);
    await vi.waitFor(() => expect(suite.oss.requests()).toHaveLength(before + 1));
    socket.destroy();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(suite.isStored('broken')).toBe(false);
    expect(suite.oss.requests().at(-1)?.status).toBeUndefined();
  });

  test('accepted: checksum headers on plain bodies, UNSIGNED-PAYLOAD, x-id, a right Content-MD5', async () => {
    const withChecksum = openClient(suite.oss, { requestChecksumCalculation: 'WHEN_SUPPORTED' });
    await withChecksum.send(new PutObjectCommand({ Bucket, Key: 'plain', Body: 'abc', ContentMD5: contentMd5('abc') }));
    expect(suite.oss.requests().at(-1)?.headers).toMatchObject({ 'x-amz-checksum-crc32': 'NSRBwg==' });
    expect(suite.oss.requests().at(-1)?.target).toContain('x-id=PutObject');
    await suite.client.send(
      new PutObjectCommand({ Bucket, Key: 'plain', Body: Readable.from([Buffer.from('abcd')]), ContentLength: 4 }),
    );
    expect(suite.oss.requests().at(-1)?.headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
    expect(await suite.read('plain')).toEqual(Buffer.from('abcd'));
    const empty = await suite.client.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: '' }));
    expect(empty.ETag).toBe('"D41D8CD98F00B204E9800998ECF8427E"');
    expect(await suite.read('empty')).toHaveLength(0);
  });
});

describe('headers', () => {
  const conditions = { 'If-None-Match': '*', 'If-Match': '"A"', 'If-Modified-Since': 'Wed, 21 Oct 2015 07:28:00 GMT' };

  test.each([400, 501] as const)('conditions on PutObject and Complete: %i', async (status) => {
    const other = await openOss({ conditionalWriteStatus: status });
    const refused = { status, code: 'NotImplemented' };
    for (const [name, value] of Object.entries(conditions)) {
      const headers = { [name]: value };
      expect(await sendRaw(other, 'PUT', '/a', { body: 'a', headers }), name).toMatchObject(refused);
      expect(await sendRaw(other, 'POST', '/a?uploadId=A', { body: 'a', headers }), name).toMatchObject(refused);
    }
    const put = new PutObjectCommand({ Bucket, Key: 'a', Body: 'a', IfNoneMatch: '*' });
    expect(await refusal(openClient(other).send(put))).toEqual([status, 'NotImplemented']);
  });

  test('x-oss-forbid-overwrite: the second writer gets a 409', async () => {
    const put = () => sendRaw(suite.oss, 'PUT', '/once', { body: 'a', headers: { 'x-oss-forbid-overwrite': 'true' } });
    expect((await put()).status).toBe(200);
    expect(await put()).toMatchObject({ status: 409, code: 'FileAlreadyExists' });
    const race = await Promise.all(
      Array.from({ length: 8 }, () =>
        sendRaw(suite.oss, 'PUT', '/race', { body: 'a', headers: { 'x-oss-forbid-overwrite': 'true' } }),
      ),
    );
    expect(race.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  test('tagging, lists of uploads and what else is not implemented', async () => {
    const refused = [400, 'NotImplemented'];
    expect(await refusal(suite.client.send(new GetObjectTaggingCommand({ Bucket, Key: 'a' })))).toEqual(refused);
    expect(
      await refusal(suite.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'a', Tagging: 'a=b' }))),
    ).toEqual(refused);
    expect(
      await refusal(suite.client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a', Tagging: 'a=b' }))),
    ).toEqual(refused);
    expect(await refusal(suite.client.send(new ListMultipartUploadsCommand({ Bucket })))).toEqual(refused);
    expect(
      await refusal(suite.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'a', ACL: 'private' }))),
    ).toEqual(refused);
  });

  test('parts and versions of an object are not implemented', async () => {
    for (const target of ['/a?partNumber=1', '/a?versionId=1']) {
      expect(await sendRaw(suite.oss, 'GET', target), target).toMatchObject({ status: 400, code: 'NotImplemented' });
    }
  });

  test('a metadata key with an underscore: the connection closes', async () => {
    const put = new PutObjectCommand({ Bucket, Key: 'meta', Body: 'a', Metadata: { file_name: 'a' } });
    await expect(suite.client.send(put)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('metadata keys with hyphens come back, as do type and disposition', async () => {
    const given = {
      ContentType: 'video/mp4',
      ContentDisposition: 'attachment; filename="a.mp4"',
      Metadata: { 'file-name': 'a' },
    };
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'meta', Body: 'a', ...given }));
    expect(await suite.client.send(new HeadObjectCommand({ Bucket, Key: 'meta' }))).toMatchObject({
      ...given,
      ContentLength: 1,
    });
  });

  test.each([
    ['a slash in front', '//a'],
    ['a backslash in front', '/%5Ca'],
    ['1024 bytes', `/${'a'.repeat(1024)}`],
  ])('a key with %s', async (_name, target) => {
    expect(await sendRaw(suite.oss, 'PUT', target, { body: 'a' })).toMatchObject({
      status: 400,
      code: 'InvalidObjectName',
    });
  });

  test('the SDK cannot put such a key either, and every other one comes back', async () => {
    expect(await refusal(suite.client.send(new PutObjectCommand({ Bucket, Key: '/a', Body: 'a' })))).toEqual([
      400,
      'InvalidObjectName',
    ]);
    for (const Key of ['a'.repeat(1023), `u/ü 世界+%2F~(1)*!'&=?#.txt`, 'a//b']) {
      await suite.client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
      expect(await suite.read(Key)).toEqual(Buffer.from(Key));
      expect(suite.isStored(Key)).toBe(true);
    }
  });

  test('every answer says who it is; errors are XML', async () => {
    const { headers, body } = await sendRaw(suite.oss, 'GET', '/no-such');
    expect(headers.server).toBe('AliyunOSS');
    expect(headers['x-amz-request-id']).toMatch(/^[\dA-F]{24}$/);
    expect(body).toMatch(
      /<Error><Code>NoSuchKey<\/Code><Message>.+<\/Message><RequestId>[\dA-F]{24}<\/RequestId><HostId>.+<\/HostId><EC>.+<\/EC><\/Error>$/,
    );
    expect((await sendRaw(suite.oss, 'PUT', '/a', { body: 'a' })).headers.etag).toBe(
      `"${md5(Buffer.from('a')).toUpperCase()}"`,
    );
  });
});
