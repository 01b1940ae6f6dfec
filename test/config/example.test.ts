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
  expect(parseConfig({ ...shown, HOST: '', PUBLIC_URL: '', AUTH_TOKENS: '' })).toEqual(parseConfig({}));
});

test('.env.example explains every variable that the service reads', () => {
  const read = new Set<string>();
  const env = new Proxy({}, { get: (_, name) => void read.add(String(name)) });
  parseConfig(env);
  const explained = [...example.matchAll(/^#([A-Z][A-Z0-9_]*)=/gm)].map((match) => match[1]);
  expect(new Set(explained)).toEqual(read);
  expect(explained).toHaveLength(read.size);
});
