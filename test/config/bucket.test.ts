/** The settings of stores in a bucket. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';
import { ConfigError } from '../../server/config/problems.ts';

const OSS = {
  STORE: 'oss',
  S3_ENDPOINT: 'https://s3.oss-cn-hangzhou.aliyuncs.com',
  S3_BUCKET: 'files',
  S3_ACCESS_KEY_ID: 'key',
  S3_SECRET_ACCESS_KEY: 'top-secret',
};
const CEPH = { ...OSS, STORE: 'ceph', S3_ENDPOINT: 'http://10.0.0.7:7480' };

function problemsOf(env: Record<string, string>): Record<string, string> {
  try {
    parseConfig(env);
    return {};
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return Object.fromEntries(error.problems.map(({ variable, message }) => [variable, message]));
  }
}

describe('a bucket', () => {
  test('is read whole', () => {
    expect(parseConfig({ ...CEPH, S3_PREFIX: 'a/b', S3_BUFFER_BYTES: '64MiB' }).store).toEqual({
      kind: 'ceph',
      endpoint: 'http://10.0.0.7:7480',
      region: null,
      bucket: 'files',
      prefix: 'a/b/',
      accessKeyId: 'key',
      secretAccessKey: 'top-secret',
      bufferBytes: 64 * 1024 * 1024,
      pathStyle: null,
    });
  });

  test('has all its problems told at once, by name', () => {
    expect(Object.keys(problemsOf({ STORE: 's3', S3_PREFIX: '/a', S3_BUFFER_BYTES: '1MB' })).toSorted()).toEqual([
      'S3_ACCESS_KEY_ID',
      'S3_BUCKET',
      'S3_BUFFER_BYTES',
      'S3_PREFIX',
      'S3_SECRET_ACCESS_KEY',
    ]);
  });

  test.each(['files', 'ftp://host', 'https://host/path', 'https://key:secret@host'])('is not at %s', (address) => {
    const { S3_ENDPOINT } = problemsOf({ ...CEPH, S3_ENDPOINT: address });
    expect(S3_ENDPOINT).toMatch(/^must be an address such as/);
    expect(S3_ENDPOINT).not.toContain('secret@');
  });

  test('does not matter to the local store', () => {
    expect(parseConfig({ S3_BUCKET: 'files' }).store).toEqual({ kind: 'local' });
  });
});

describe('a bucket of OSS', () => {
  test.each(['s3.oss-cn-hangzhou', 'oss-cn-hangzhou', 's3.oss-cn-hangzhou-internal'])(
    'at %s has its region',
    (host) => {
      expect(parseConfig({ ...OSS, S3_ENDPOINT: `https://${host}.aliyuncs.com` }).store).toMatchObject({
        region: 'cn-hangzhou',
      });
    },
  );

  test('has the bucket in its host name, which an address has not', () => {
    expect(problemsOf({ ...OSS, S3_PATH_STYLE: 'true' })).toEqual({
      S3_PATH_STYLE: expect.stringMatching(/host name/),
    });
    for (const host of ['10.0.0.7', '[::1]:80']) {
      expect(problemsOf({ ...OSS, S3_ENDPOINT: `http://${host}`, S3_REGION: 'cn-hangzhou' })).toEqual({
        S3_ENDPOINT: expect.stringMatching(/host name/),
      });
    }
    expect(Object.keys(problemsOf({ ...OSS, S3_BUCKET: 'a.bucket' }))).toEqual(['S3_BUCKET']);
    expect(Object.keys(problemsOf({ ...OSS, S3_ENDPOINT: 'https://files.oss-cn-hangzhou.aliyuncs.com' }))).toEqual([
      'S3_ENDPOINT',
    ]);
  });

  test('needs an endpoint, and a region where that does not name one', () => {
    expect(Object.keys(problemsOf({ ...OSS, S3_ENDPOINT: '' }))).toEqual(['S3_ENDPOINT']);
    expect(Object.keys(problemsOf({ ...OSS, S3_ENDPOINT: 'https://files.example.org' })).toSorted()).toEqual([
      'S3_ENDPOINT',
      'S3_REGION',
    ]);
    expect(Object.keys(problemsOf({ ...OSS, S3_ENDPOINT: 'https://oss.example.org' }))).toEqual(['S3_REGION']);
  });
});
