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
    expect(parseConfig({ ...CEPH, S3_PREFIX: 'a/b', S3_BUFFER_BYTES: '64MiB', S3_PART_BYTES: '16MiB' }).store).toEqual({
      kind: 'ceph',
      endpoint: 'http://10.0.0.7:7480',
      region: null,
      bucket: 'files',
      prefix: 'a/b/',
      accessKeyId: 'key',
      secretAccessKey: 'top-secret',
      bufferBytes: 64 * 1024 * 1024,
      partBytes: 16 * 1024 * 1024,
      pathStyle: null,
      endpointIsBucket: false,
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

  test.each([
    ['ceph', { S3_ENDPOINT: expect.stringMatching(/^is needed with STORE=ceph: .*https:\/\/rgw\.example\.org$/) }],
    ['oss', { S3_ENDPOINT: expect.stringMatching(/^is needed with STORE=oss: https:\/\/s3\.oss-<region>/) }],
    // AWS's own is known.
    ['s3', {}],
  ])('with STORE=%s and without an endpoint', (kind, expected) => {
    const region = { S3_REGION: 'cn-hangzhou' };
    for (const blank of [undefined, '', ' ']) {
      const { S3_ENDPOINT: _, ...rest } = { ...CEPH, ...region, STORE: kind };
      expect(problemsOf(blank === undefined ? rest : { ...rest, S3_ENDPOINT: blank })).toEqual(expected);
    }
  });

  test.each([
    ['s3', '4MiB', /^must be at least 5MiB with STORE=s3, and at most 5GiB$/],
    ['ceph', '99KiB', /^must be at least 100KiB with STORE=ceph/],
    ['oss', '6GiB', /at most 5GiB$/],
    ['oss', 'many', /^must be a size such as/],
  ])('with STORE=%s has no parts of %s', (kind, size, problem) => {
    const { S3_PART_BYTES } = problemsOf({ ...OSS, STORE: kind, S3_PART_BYTES: size, S3_BUFFER_BYTES: '100GiB' });
    expect(S3_PART_BYTES).toMatch(problem);
  });

  test('has memory for four parts', () => {
    const sizes = { S3_PART_BYTES: '32MiB', S3_BUFFER_BYTES: '128MiB' };
    expect(problemsOf({ ...CEPH, ...sizes })).toEqual({});
    expect(problemsOf({ ...CEPH, ...sizes, S3_BUFFER_BYTES: '127MiB' })).toEqual({
      S3_BUFFER_BYTES: 'must be at least 4 times S3_PART_BYTES, which is 33554432 bytes',
    });
  });

  test('does not matter to the local store', () => {
    expect(parseConfig({ S3_BUCKET: 'files' }).store).toEqual({ kind: 'local' });
  });
});

describe('downloads', () => {
  test('from the bucket, for as long as is said', () => {
    expect(parseConfig({ ...CEPH, DOWNLOAD: 'redirect', PRESIGN_TTL: '7d' }).download).toEqual({
      mode: 'redirect',
      presignTtlMs: 604_800_000,
    });
  });

  test('have no other address than the service with the local store', () => {
    expect(problemsOf({ DOWNLOAD: 'redirect', PRESIGN_TTL: '1x' })).toEqual({
      DOWNLOAD: expect.stringContaining('must be stream with STORE=local'),
      PRESIGN_TTL: expect.stringContaining('must be a duration'),
    });
  });

  test.each(['8d', '0s', '10', '1500ms'])('PRESIGN_TTL=%s is refused', (ttl) => {
    expect(Object.keys(problemsOf({ ...CEPH, PRESIGN_TTL: ttl }))).toEqual(['PRESIGN_TTL']);
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

  test('may have a domain of its own', () => {
    const own = { ...OSS, S3_ENDPOINT: 'https://files.example.org', S3_ENDPOINT_IS_BUCKET: 'true' };
    expect(parseConfig({ ...own, S3_REGION: 'cn-hangzhou' }).store).toMatchObject({ endpointIsBucket: true });
    expect(parseConfig({ ...own, STORE: 's3' }).store).toMatchObject({ endpointIsBucket: true });
    expect(Object.keys(problemsOf(own))).toEqual(['S3_REGION']);
    expect(Object.keys(problemsOf({ ...own, S3_REGION: 'cn-hangzhou', S3_PATH_STYLE: 'true' }))).toEqual([
      'S3_PATH_STYLE',
    ]);
    expect(Object.keys(problemsOf({ ...own, STORE: 's3', S3_ENDPOINT: '' }))).toEqual(['S3_ENDPOINT']);
    expect(Object.keys(problemsOf({ ...own, STORE: 'ceph' }))).toEqual(['S3_ENDPOINT_IS_BUCKET']);
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
