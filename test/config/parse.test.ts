import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { NO_QUOTA } from '../../server/catalog/quotas.ts';
import type { Env } from '../../server/config/env.ts';
import { parseConfig } from '../../server/config/parse.ts';
import { ConfigError, type ConfigProblem } from '../../server/config/problems.ts';
import { makeSelfSigned } from '../harness/self-signed.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

function problemsOf(env: Env): readonly ConfigProblem[] {
  try {
    parseConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function variablesOf(env: Env): string[] {
  return problemsOf(env).map((problem) => problem.variable);
}

describe('an empty environment', () => {
  test('gives a service on this machine alone', () => {
    expect(parseConfig({})).toEqual({
      listen: '127.0.0.1',
      port: 8080,
      publicUrl: null,
      host: null,
      trustProxy: [],
      basePath: '',
      store: { kind: 'local' },
      database: { kind: 'sqlite', file: resolve('data/catalog.db') },
      dataDir: resolve('data'),
      maxFileSizeBytes: null,
      maxAppendBytes: null,
      maxOpenUploads: 10_000,
      quotas: { standard: NO_QUOTA, ofOwners: {} },
      uploadTtlMs: 86_400_000,
      trashTtlMs: 604_800_000,
      download: { mode: 'stream', presignTtlMs: 300_000 },
      digests: ['md5', 'sha1'],
      access: {
        tokens: [],
        instant: 'owner',
        publicRead: false,
        corsOrigins: [],
        corsHeaders: [],
        corsCredentials: false,
      },
      services: ['uploads', 'files', 'api', 'page', 'worker'],
      workers: 1,
      shutdownTimeoutMs: 10_000,
      lockTimeoutMs: 10_000,
      idleTimeoutMs: 300_000,
      logLevel: 'info',
    });
  });

  test('is what empty and blank variables give, too', () => {
    const names = 'HOST HTTP_PORT LISTEN PUBLIC_URL TRUST_PROXY STORE DATA_DIR DATABASE_URL MAX_FILE_SIZE UPLOAD_TTL';
    const more = 'DIGESTS AUTH INSTANT PUBLIC_READ CORS_ORIGINS SHUTDOWN_TIMEOUT LOCK_TIMEOUT IDLE_TIMEOUT LOG_LEVEL';
    const variables = `${names} ${more}`.split(' ');
    for (const blank of ['', '  ']) {
      expect(parseConfig(Object.fromEntries(variables.map((name) => [name, blank])))).toEqual(parseConfig({}));
    }
  });

  test('is frozen to the bottom', () => {
    const config = parseConfig({ AUTH_TOKENS: 'alice:0123456789abcdef' });
    for (const part of [config, config.access, config.access.tokens, config.access.tokens[0], config.digests]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

test('every variable is taken over', () => {
  const config = parseConfig({
    HOST: 'files.example.org',
    HTTP_PORT: '9000',
    LISTEN: '[::]',
    PUBLIC_URL: 'https://files.example.org/big/',
    TRUST_PROXY: 'loopback, 10.0.0.0/8,2001:db8::1',
    STORE: 'local',
    DATA_DIR: '/srv/tidemark',
    DATABASE_URL: 'sqlite:/var/lib/catalog.db',
    MAX_FILE_SIZE: '10GiB',
    MAX_APPEND_SIZE: '100MB',
    PRESIGN_TTL: '1h',
    MAX_OPEN_UPLOADS: '25',
    QUOTA_BYTES: '2TB',
    QUOTA_FILES: '1000',
    QUOTAS: 'alice:bytes=500GiB:uploads=5, bob.b-1_ : files = 0 : bytes=0',
    UPLOAD_TTL: '2d',
    TRASH_TTL: '0',
    DIGESTS: 'sha1, SHA256',
    AUTH_TOKENS: 'alice:s3cret:with=colon, bob.b-1_:another~secret/+',
    INSTANT: 'all',
    PUBLIC_READ: 'TRUE',
    CORS_ORIGINS: 'https://App.example:443/, http://[::1]:5173,capacitor://localhost',
    CORS_HEADERS: 'X-Tenant, x-csrf-token',
    CORS_CREDENTIALS: 'yes',
    SERVICES: 'uploads,worker',
    SHUTDOWN_TIMEOUT: '30s',
    LOCK_TIMEOUT: '500ms',
    IDLE_TIMEOUT: '10m',
    LOG_LEVEL: 'debug',
    S3_BUCKET: 'of no interest to this store',
  });
  expect(config).toEqual({
    host: 'files.example.org',
    port: 9000,
    listen: '::',
    publicUrl: 'https://files.example.org/big',
    basePath: '/big',
    trustProxy: ['loopback', '10.0.0.0/8', '2001:db8::1'],
    store: { kind: 'local' },
    dataDir: '/srv/tidemark',
    database: { kind: 'sqlite', file: '/var/lib/catalog.db' },
    maxFileSizeBytes: 10 * 2 ** 30,
    maxAppendBytes: 100_000_000,
    maxOpenUploads: 25,
    quotas: {
      standard: { bytes: 2e12, files: 1000, openUploads: null },
      ofOwners: {
        alice: { bytes: 500 * 2 ** 30, files: 1000, openUploads: 5 },
        'bob.b-1_': { bytes: null, files: null, openUploads: null },
      },
    },
    uploadTtlMs: 172_800_000,
    trashTtlMs: 0,
    download: { mode: 'stream', presignTtlMs: 3_600_000 },
    digests: ['md5', 'sha1', 'sha256'],
    access: {
      tokens: [
        { owner: 'alice', secret: 's3cret:with=colon' },
        { owner: 'bob.b-1_', secret: 'another~secret/+' },
      ],
      instant: 'all',
      publicRead: true,
      corsOrigins: ['https://app.example', 'http://[::1]:5173', 'capacitor://localhost'],
      corsHeaders: ['X-Tenant', 'x-csrf-token'],
      corsCredentials: true,
    },
    services: ['uploads', 'worker'],
    workers: 1,
    shutdownTimeoutMs: 30_000,
    lockTimeoutMs: 500,
    idleTimeoutMs: 600_000,
    logLevel: 'debug',
  });
});

test('the catalog follows DATA_DIR, and its paths may be relative', () => {
  const fileOf = (env: Record<string, string>) => parseConfig(env).database;
  expect(fileOf({ DATA_DIR: 'elsewhere' })).toEqual({ kind: 'sqlite', file: join(resolve('elsewhere'), 'catalog.db') });
  expect(fileOf({ DATABASE_URL: 'sqlite:///abs/c.db' })).toEqual({ kind: 'sqlite', file: '/abs/c.db' });
  expect(fileOf({ DATABASE_URL: 'sqlite:rel/c.db' })).toEqual({ kind: 'sqlite', file: resolve('rel/c.db') });
});

describe('PostgreSQL', () => {
  const url = 'postgres://user:swordfish@db.example.org:5433/tidemark?sslmode=verify-full';
  const kind = 'postgres';

  test('is named by its address, which may stand in a file', async () => {
    const plain = { kind, url, directUrl: null, ca: null };
    expect(parseConfig({ DATABASE_URL: url }).database).toEqual({ ...plain, poolSize: 10 });
    const file = join(await makeTempFolder(), 'url');
    await writeFile(file, `${url}\n`);
    const settings = { DATABASE_URL_FILE: file, DATABASE_POOL: '25' };
    expect(parseConfig(settings).database).toEqual({ ...plain, poolSize: 25 });
  });

  test('has a CA, and an address past a pooler', async () => {
    const { cert } = makeSelfSigned(30);
    const folder = await makeTempFolder();
    const [file, other] = [join(folder, 'ca.pem'), join(folder, 'other')];
    await writeFile(file, cert);
    await writeFile(other, 'no certificate');
    const settings = { DATABASE_URL: url, DATABASE_CA_FILE: file, DATABASE_DIRECT_URL: 'postgres://u@direct/tidemark' };
    expect(parseConfig(settings).database).toMatchObject({
      ca: cert.trim(),
      directUrl: 'postgres://u@direct/tidemark',
    });
    for (const wrong of [other, join(folder, 'missing')])
      expect(() => parseConfig({ ...settings, DATABASE_CA_FILE: wrong })).toThrow(/DATABASE_CA_FILE: must name a file/);
    expect(() => parseConfig({ ...settings, DATABASE_DIRECT_URL: 'mysql://a/b' })).toThrow(
      /DATABASE_DIRECT_URL: must be/,
    );
  });

  test.each([
    ['postgres://db', 'DATABASE_URL'],
    ['postgres://user:swordfish@/tidemark', 'DATABASE_URL'],
    ['postgres://user:swordfish@db/a/b', 'DATABASE_URL'],
    ['postgresql:swordfish', 'DATABASE_URL'],
  ])('is refused by an address like %s', (given, variable) => {
    expect(problemsOf({ DATABASE_URL: given }).map((problem) => problem.variable)).toEqual([variable]);
  });

  test('is refused where its address stands twice, or its file says nothing', async () => {
    const folder = await makeTempFolder();
    const empty = join(folder, 'empty');
    await writeFile(empty, ' \n');
    const [both] = problemsOf({ DATABASE_URL: url, DATABASE_URL_FILE: empty });
    expect(both).toEqual({ variable: 'DATABASE_URL_FILE', message: 'must be unset where DATABASE_URL is set' });
    for (const [file, why] of [
      [empty, 'not empty'],
      [folder, 'EISDIR'],
      [join(folder, 'none'), 'ENOENT'],
    ] as const) {
      const [problem] = problemsOf({ DATABASE_URL_FILE: file });
      expect(problem).toEqual({ variable: 'DATABASE_URL_FILE', message: expect.stringContaining(why) });
    }
  });
});

test('hosts are taken without brackets, and PUBLIC_URL without its last slash', () => {
  expect(parseConfig({ HOST: '[2001:db8::1]' }).host).toBe('2001:db8::1');
  expect(parseConfig({ LISTEN: '[::1]' }).listen).toBe('::1');
  expect(parseConfig({ PUBLIC_URL: 'https://files.example.org/', AUTH: 'off' })).toMatchObject({
    publicUrl: 'https://files.example.org',
    basePath: '',
  });
});

test('all problems are reported at once, each under its variable, with what was given and what would be right', () => {
  const env = {
    HOST: 'http://files.example.org',
    HTTP_PORT: '80a',
    LISTEN: '0.0.0.0:80',
    PUBLIC_URL: 'files.example.org',
    TRUST_PROXY: 'true',
    STORE: 'floppy',
    DATABASE_URL: 'mysql://db/x',
    MAX_FILE_SIZE: '10X',
    UPLOAD_TTL: '24',
    DIGESTS: 'md5,crc32',
    AUTH_TOKENS: 'alice',
    AUTH: 'on',
    INSTANT: 'maybe',
    PUBLIC_READ: 'sometimes',
    CORS_ORIGINS: 'app.example',
    SHUTDOWN_TIMEOUT: '2d',
    LOCK_TIMEOUT: '0s',
    IDLE_TIMEOUT: 'never',
    LOG_LEVEL: 'loud',
  };
  const problems = problemsOf(env);
  expect(problems.map((problem) => problem.variable).sort()).toEqual(Object.keys(env).sort());
  for (const { variable, message } of problems) {
    if (variable === 'AUTH_TOKENS' || variable === 'DATABASE_URL') continue;
    const given = variable === 'DIGESTS' ? 'crc32' : env[variable as keyof typeof env];
    expect(message).toContain(`"${given}"`);
    expect(message).toMatch(/must be /);
  }
  const error = new ConfigError(problems);
  for (const variable of Object.keys(env)) expect(`\n${error.message}`).toContain(`\n${variable}: `);
});

describe('values at the edge', () => {
  test.each([
    ['HTTP_PORT', '65536'],
    ['HTTP_PORT', '-1'],
    ['HTTP_PORT', '8080.5'],
    ['HOST', 'a b'],
    ['HOST', 'files.example.org:8080'],
    ['HOST', 'files.example.org/path'],
    ['LISTEN', '[127.0.0.1]'],
    ['PUBLIC_URL', 'ftp://files.example.org'],
    ['PUBLIC_URL', 'https://files.example.org/?a=b'],
    ['TRUST_PROXY', '10.0.0.0/0'],
    ['TRUST_PROXY', '10.0.0.0/33'],
    ['TRUST_PROXY', 'proxy.example.org'],
    ['TRUST_PROXY', '999.0.0.1'],
    ['PUBLIC_URL', 'https://:secret@files.example.org'],
    ['DATABASE_URL', 'catalog.db'],
    ['DATABASE_URL', 'sqlite:'],
    ['DATABASE_URL', 'sqlite::memory:'],
    ['MAX_FILE_SIZE', '0'],
    ['MAX_APPEND_SIZE', '0'],
    ['UPLOAD_TTL', '0s'],
    ['TRASH_TTL', '7'],
    ['TRASH_TTL', '-1d'],
    ['TRASH_TTL', '3651d'],
    ['TRASH_TTL', 'off'],
    ['MAX_OPEN_UPLOADS', '0'],
    ['QUOTA_BYTES', 'much'],
    ['QUOTA_BYTES', '-1'],
    ['QUOTA_FILES', '1.5'],
    ['QUOTA_FILES', '1000000001'],
    ['QUOTAS', 'alice:bytes=1GB'],
    ['MAX_OPEN_UPLOADS', '1000001'],
    ['UPLOAD_TTL', '3651d'],
    ['LOCK_TIMEOUT', '25d'],
    ['SHUTDOWN_TIMEOUT', '30'],
  ])('%s=%j is refused', (variable, value) => {
    expect(variablesOf({ [variable]: value })).toEqual([variable]);
  });

  test.each(['disk', 'gcs', 'memory'])('STORE=%s is refused with what there is', (store) => {
    expect(problemsOf({ STORE: store })[0]?.message).toBe(`must be one of local, s3, ceph, oss, not "${store}"`);
  });

  test('a long value is shown shortened and on one line', () => {
    const [problem] = problemsOf({ LOG_LEVEL: `x\n${'y'.repeat(10_000)}` });
    expect(problem?.message.length).toBeLessThan(200);
    expect(problem?.message).not.toContain('\n');
  });
});

describe('CORS_ORIGINS', () => {
  const tokens = { AUTH_TOKENS: 'alice:0123456789abcdef' };

  test('is all origins with tokens, and none without, where nothing is said', () => {
    expect(parseConfig(tokens).access.corsOrigins).toBe('*');
    expect(parseConfig({}).access.corsOrigins).toEqual([]);
    expect(parseConfig({ CORS_ORIGINS: ' * ' }).access.corsOrigins).toBe('*');
    expect(parseConfig({ ...tokens, CORS_ORIGINS: 'https://a.example' }).access.corsOrigins).toEqual([
      'https://a.example',
    ]);
  });

  test.each(['null', 'https://', 'https://a.example/path', 'https://*.example', '*,https://a.example', 'a.example:80'])(
    '%j is none',
    (text) => {
      expect(variablesOf({ CORS_ORIGINS: text })).toEqual(['CORS_ORIGINS']);
    },
  );
});

describe('CORS_HEADERS and CORS_CREDENTIALS', () => {
  test.each(['X Tenant', 'x:y', '*', 'ü'])('%j is no header', (text) => {
    expect(variablesOf({ CORS_HEADERS: text })).toEqual(['CORS_HEADERS']);
  });

  test.each([{}, { CORS_ORIGINS: '*' }])('credentials need named origins: %j', (env) => {
    expect(variablesOf({ ...env, CORS_CREDENTIALS: 'true' })).toEqual(['CORS_CREDENTIALS']);
    expect(variablesOf({ CORS_ORIGINS: 'https://a.example', CORS_CREDENTIALS: 'true' })).toEqual([]);
  });
});

describe('AUTH_TOKENS', () => {
  test.each([
    ['alice', 'entry 1 must be name:secret'],
    ['alice:hunter2hunter2,', 'entry 2 must be name:secret'],
    ['alice:', 'entry 1: the secret must be at least 8'],
    ['alice:short', 'entry 1: the secret must be at least 8'],
    [':hunter2hunter2', 'entry 1: the name must be'],
    ['al ice:hunter2hunter2', 'entry 1: the name must be'],
    [`${'a'.repeat(65)}:hunter2hunter2`, 'entry 1: the name must be'],
    ['anyone:hunter2hunter2', 'entry 1: the name anyone is reserved'],
    ['alice:hunter2 hunter2', 'entry 1: the secret must be'],
    ['alice:hünter2hunter2', 'entry 1: the secret must be'],
    ['alice:hunter2hunter2,bob:hunter2hunter2', 'entry 2: another entry has the same secret'],
  ])('%j: %s', (value, message) => {
    expect(problemsOf({ AUTH_TOKENS: value })).toEqual([
      { variable: 'AUTH_TOKENS', message: expect.stringContaining(message) },
    ]);
  });

  test('a name may have two secrets, so that one can be replaced without a break', () => {
    const { tokens } = parseConfig({ AUTH_TOKENS: 'alice:old-secret,alice:new-secret' }).access;
    expect(tokens.map(({ owner }) => owner)).toEqual(['alice', 'alice']);
  });

  test('nothing of a value is ever shown, whatever is wrong with it', () => {
    const value =
      'swordfish1,swordfish2:,:swordfish3,sword fish4:swordfish5,anyone:swordfish6,a:swordfish7,a:swordfish7,b:sword fish8';
    const problems = problemsOf({ AUTH_TOKENS: value, AUTH: 'off', LISTEN: '0.0.0.0' });
    expect(problems.length).toBeGreaterThan(6);
    expect(new ConfigError(problems).message).not.toMatch(/fish/);
  });

  test('passwords in other values are not shown either', () => {
    const problems = problemsOf({
      DATABASE_URL: 'postgres://user:swordfish@db',
      PUBLIC_URL: 'https://user:swordfish@files.example.org',
    });
    expect(problems.map((problem) => problem.variable).sort()).toEqual(['DATABASE_URL', 'PUBLIC_URL']);
    expect(new ConfigError(problems).message).not.toContain('swordfish');
    expect(new ConfigError(problems).message).toContain('DATABASE_URL: must be sqlite:<path of a file>');
  });
});

describe('exposure', () => {
  const tokens = 'alice:0123456789abcdef';

  test.each(['0.0.0.0', '::', '192.168.1.5', '8.8.8.8', 'files.example.org', '127.example.org', '::ffff:10.0.0.1'])(
    'LISTEN=%s without tokens needs AUTH=off',
    (listen) => {
      expect(variablesOf({ LISTEN: listen })).toEqual(['LISTEN']);
      expect(problemsOf({ LISTEN: listen })[0]?.message).toMatch(/set AUTH_TOKENS, or AUTH=off/);
      expect(variablesOf({ LISTEN: listen, AUTH: 'off' })).toEqual([]);
      expect(variablesOf({ LISTEN: listen, AUTH_TOKENS: tokens })).toEqual([]);
    },
  );

  test.each(['127.0.0.1', '127.8.8.8', '::1', '[::1]', '::ffff:127.0.0.1', 'localhost'])(
    'LISTEN=%s needs nothing',
    (listen) => {
      expect(variablesOf({ LISTEN: listen })).toEqual([]);
    },
  );

  test.each([
    ['PUBLIC_URL', 'https://files.example.org'],
    ['TRUST_PROXY', 'loopback'],
  ])('%s without tokens needs AUTH=off: others reach it through a proxy', (variable, value) => {
    expect(variablesOf({ [variable]: value })).toEqual([variable]);
    expect(problemsOf({ [variable]: value })[0]?.message).toMatch(/set AUTH_TOKENS, or AUTH=off/);
    expect(variablesOf({ [variable]: value, AUTH: 'off' })).toEqual([]);
    expect(variablesOf({ [variable]: value, AUTH_TOKENS: tokens })).toEqual([]);
  });

  test.each(['', '  ', '\t'])('an AUTH_TOKENS that is set to %j is no service without tokens', (value) => {
    for (const AUTH of [undefined, 'off']) {
      expect(problemsOf({ AUTH_TOKENS: value, AUTH })).toMatchObject([
        { variable: 'AUTH_TOKENS', message: expect.stringContaining('is set but empty') },
      ]);
    }
  });

  test('AUTH=off beside tokens is a contradiction', () => {
    expect(variablesOf({ AUTH: 'off', AUTH_TOKENS: tokens })).toEqual(['AUTH']);
  });
});

describe('SERVICES', () => {
  const POSTGRES = { DATABASE_URL: 'postgres://tidemark@db.example/tidemark' };

  test('names groups, in any order and case', () => {
    expect(parseConfig({ SERVICES: ' worker, Uploads,uploads' }).services).toEqual(['uploads', 'worker']);
    expect(parseConfig({ ...POSTGRES, SERVICES: 'files,api' }).services).toEqual(['files', 'api']);
  });

  test('names what is none', () => {
    expect(problemsOf({ ...POSTGRES, SERVICES: 'upload,files' })).toEqual([
      {
        variable: 'SERVICES',
        message: 'must be a list of uploads, files, api, page, worker; "upload" is none of them',
      },
    ]);
  });

  test('has worker where no other process can have it', () => {
    expect(problemsOf({ SERVICES: 'uploads,files,api,page' })).toMatchObject([
      { variable: 'SERVICES', message: expect.stringContaining('must have worker') as string },
    ]);
  });
});

describe('WORKERS', () => {
  const BUCKET = {
    STORE: 'ceph',
    S3_ENDPOINT: 'http://ceph.example:7480',
    S3_BUCKET: 'uploads',
    S3_ACCESS_KEY_ID: 'key',
    S3_SECRET_ACCESS_KEY: 'secret',
  };

  test('is a number of processes over PostgreSQL and a bucket', () => {
    const env = { ...BUCKET, DATABASE_URL: 'postgres://tidemark@db.example/tidemark' };
    expect(parseConfig({ ...env, WORKERS: '4' }).workers).toBe(4);
    expect(variablesOf({ ...env, WORKERS: '0' })).toEqual(['WORKERS']);
  });

  test('must be one where one process alone can hold catalog or folder', () => {
    expect(problemsOf({ ...BUCKET, WORKERS: '2' }).map(({ message }) => message)).toEqual([
      expect.stringMatching(/^must be 1 where the catalog is SQLite/),
    ]);
    const local = { DATABASE_URL: 'postgres://tidemark@db.example/tidemark', WORKERS: '2' };
    expect(problemsOf(local).map(({ message }) => message)).toEqual([
      expect.stringMatching(/^must be 1 with STORE=local/),
    ]);
    expect(parseConfig({ WORKERS: '1' }).workers).toBe(1);
  });
});

describe('quotas of owners', () => {
  const told = (QUOTAS: string): string[] =>
    problemsOf({ AUTH_TOKENS: 'alice:0123456789abcdef,bob:fedcba9876543210', QUOTAS }).map(
      ({ variable, message }) => `${variable} ${message}`,
    );

  test('are for owners with a token, one entry each, and say which limit is wrong', () => {
    expect(told('alice:bytes=1GB,bob:files=1:uploads=1')).toEqual([]);
    expect(problemsOf({ AUTH_TOKENS: 'constructor:0123456789abcdef', QUOTAS: 'constructor:files=1' })).toEqual([]);
    expect(told('carol:bytes=1GB')[0]).toMatch(
      /^QUOTAS must begin each entry with a name of AUTH_TOKENS.*"carol" is none$/,
    );
    expect(told('alice:bytes=1GB,alice:files=1')).toEqual(['QUOTAS must have one entry for alice']);
    expect(told('alice')[0]).toMatch(/^QUOTAS must say for alice what the limits are, as in alice:bytes=/);
    expect(told('alice:bytes=much')).toEqual(['QUOTAS bytes of alice must be a size such as 10GiB, or 0 for no limit']);
    expect(told('alice:files=-1,bob:uploads=1000001')).toEqual([
      'QUOTAS files of alice must be a whole number from 0 to 1000000000; 0: no limit',
      'QUOTAS uploads of bob must be a whole number from 0 to 1000000; 0: no limit',
    ]);
    expect(told('alice:size=1GB')).toEqual(['QUOTAS must be bytes=, files= or uploads= after alice, not "size=1GB"']);
  });
});
