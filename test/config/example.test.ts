import { readFile } from 'node:fs/promises';
import { parse } from 'dotenv';
import { expect, test } from 'vitest';
import { parseConfig } from '../../server/config/parse.ts';

const example = await readFile('.env.example', 'utf8');

test('.env.example sets nothing as it is', () => {
  expect(parse(example)).toEqual({});
});

test('the defaults that .env.example shows are the defaults', () => {
  const shown = parse(example.replaceAll(/^#(?=[A-Z][A-Z0-9_]*=)/gm, ''));
  // These show an example, as their default is to be empty.
  const examples = {
    HOST: 'files.example.org',
    PUBLIC_URL: 'https://files.example.org/prefix',
    AUTH_TOKENS: 'alice:4f1c0de…,bob:93ab77…',
    S3_ENDPOINT: 'https://s3.example.org',
    S3_BUCKET: 'uploads',
  };
  expect(shown).toMatchObject(examples);
  const { AUTH_TOKENS: _, ...others } = shown;
  expect(parseConfig({ ...others, HOST: '', PUBLIC_URL: '' })).toEqual(parseConfig({}));
});

test('the settings that .env.example proposes for buckets are accepted as they are', () => {
  const blocks = example.split(/^# --- /m).find((section) => section.startsWith('A bucket')) ?? '';
  const proposed = blocks.split(/^#$/m).slice(1, 4);
  const stores = proposed.map((block) => {
    const env = parse(block.replaceAll(/^# {3}(?=[A-Z])/gm, ''));
    return parseConfig({ ...env, S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'secret' }).store;
  });
  expect(stores).toMatchObject([
    { kind: 'ceph', prefix: 'tidemark/' },
    { kind: 'oss', prefix: 'tidemark/', endpointIsBucket: true, region: 'cn-hangzhou' },
    { kind: 's3', prefix: 'tidemark/', region: 'eu-central-1' },
  ]);
});

test('.env.example explains every variable that the service reads', () => {
  const read = new Set<string>();
  const env = new Proxy({}, { get: (_, name) => void read.add(String(name)) });
  parseConfig(env);
  const explained = [...example.matchAll(/^#([A-Z][A-Z0-9_]*)=/gm)].map((match) => match[1]);
  expect(new Set(explained)).toEqual(read);
  expect(explained).toHaveLength(read.size);
});
