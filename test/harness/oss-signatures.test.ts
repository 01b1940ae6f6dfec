/** The OSS double verifies Signature Version 4, in headers and in presigned addresses. */
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { describe, expect, test } from 'vitest';
import { sendRaw } from './oss/raw.ts';
import { Bucket, openClient, openOss, refusal, useOss } from './oss/suite.ts';

const MINUTE_MS = 60_000;

const suite = useOss();

describe('signatures', () => {
  const get = new GetObjectCommand({ Bucket: 'tidemark-test', Key: 'no such' });

  test('a wrong secret', async () => {
    const wrong = openClient(suite.oss, {
      credentials: { accessKeyId: suite.oss.accessKeyId, secretAccessKey: 'wrong' },
    });
    expect(await refusal(wrong.send(get))).toEqual([403, 'SignatureDoesNotMatch']);
  });

  test('a wrong access key', async () => {
    const wrong = openClient(suite.oss, {
      credentials: { accessKeyId: 'wrong', secretAccessKey: suite.oss.secretAccessKey },
    });
    expect(await refusal(wrong.send(get))).toEqual([403, 'InvalidAccessKeyId']);
  });

  test('a wrong region', async () => {
    const wrong = openClient(suite.oss, { region: 'cn-beijing', endpoint: suite.oss.endpoint });
    expect(await refusal(wrong.send(get))).toEqual([400, 'InvalidArgument']);
  });

  test('no signature at all', async () => {
    expect(await sendRaw(suite.oss, 'GET', '/a', { unsigned: true })).toMatchObject({
      status: 403,
      code: 'AccessDenied',
    });
  });

  test.each([-16, 16])('a clock that is off by %i min', async (minutes) => {
    const late = openClient(suite.oss, { systemClockOffset: minutes * MINUTE_MS });
    expect(await refusal(late.send(get))).toEqual([403, 'RequestTimeTooSkewed']);
  });

  test.each([-14, 14])('a clock that is off by %i min is accepted', async (minutes) => {
    const late = openClient(suite.oss, { systemClockOffset: minutes * MINUTE_MS });
    expect(await refusal(late.send(get))).toEqual([404, 'NoSuchKey']);
  });

  test('option: the clock of the double is off', async () => {
    const other = await openOss({ clockOffsetMs: 20 * MINUTE_MS });
    const answer = await sendRaw(other, 'GET', '/a');
    expect(answer).toMatchObject({ status: 403, code: 'RequestTimeTooSkewed' });
    expect(Date.parse(answer.headers.date ?? '') - Date.now()).toBeGreaterThan(19 * MINUTE_MS);
  });

  test('headers that were changed, added or not signed', async () => {
    const put = (afterSigning: (headers: Record<string, string>) => void) =>
      sendRaw(suite.oss, 'PUT', '/tampered', { body: 'a', headers: { 'x-amz-meta-a': '1' }, afterSigning });
    const refused = { status: 403, code: 'SignatureDoesNotMatch' };
    expect(await put((headers) => (headers['x-amz-meta-a'] = '2'))).toMatchObject(refused);
    expect(await put((headers) => delete headers['x-amz-meta-a'])).toMatchObject(refused);
    expect(await put((headers) => (headers['x-amz-meta-b'] = '2'))).toMatchObject({
      status: 403,
      code: 'AccessDenied',
    });
    expect((await put((headers) => (headers['not-x-amz'] = '2'))).status).toBe(200);
  });

  test('a body that is not the one that was signed', async () => {
    const answer = await sendRaw(suite.oss, 'PUT', '/changed', { body: 'a', payloadHash: 'a'.repeat(64) });
    expect(answer).toMatchObject({ status: 400, code: 'XAmzContentSHA256Mismatch' });
    expect(suite.isStored('changed')).toBe(false);
  });

  test('presigned addresses: taken, refused when changed, refused when too old', async () => {
    await suite.client.send(new PutObjectCommand({ Bucket, Key: 'pre signed+ü', Body: 'hello' }));
    const command = new GetObjectCommand({
      Bucket,
      Key: 'pre signed+ü',
      ResponseContentDisposition: `attachment; filename*=UTF-8''na%C3%AFve%20(1).txt`,
    });
    const target = async (signingDate = new Date()): Promise<string> => {
      const url = new URL(await getSignedUrl(suite.client, command, { expiresIn: 60, signingDate }));
      return url.pathname + url.search;
    };
    const follow = async (to: string) => sendRaw(suite.oss, 'GET', to, { unsigned: true });
    const taken = await follow(await target());
    expect(taken).toMatchObject({ status: 200, body: 'hello' });
    expect(taken.headers['content-disposition']).toBe(`attachment; filename*=UTF-8''na%C3%AFve%20(1).txt`);
    expect(await follow((await target()).replace('/pre', '/Pre'))).toMatchObject({ code: 'SignatureDoesNotMatch' });
    expect(await follow((await target()).replace('na%25', 'no%25'))).toMatchObject({ code: 'SignatureDoesNotMatch' });
    expect(await follow(await target(new Date(Date.now() - 2 * MINUTE_MS)))).toMatchObject({
      status: 403,
      code: 'AccessDenied',
    });
    expect(await follow(await target(new Date(Date.now() + 16 * MINUTE_MS)))).toMatchObject({
      code: 'RequestTimeTooSkewed',
    });
  });
});
