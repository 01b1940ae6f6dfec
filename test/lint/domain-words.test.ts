/** The domain knows no protocol: no header, status or address stands in its source. See docs/decisions/0037-the-domain-knows-no-protocol.md. */
import { readdir, readFile } from 'node:fs/promises';
import { METHODS, STATUS_CODES } from 'node:http';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { STATUSES as HTTP_STATUSES } from '../../server/http/refusals.ts';
import { STATUSES as RUFH_STATUSES } from '../../server/protocols/rufh/refusals.ts';
import { STATUSES as TUS_STATUSES } from '../../server/protocols/tus/refusals.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ROOMS = [
  'server/uploads',
  'server/leases',
  'server/jobs',
  'server/links',
  'server/outbox',
  'server/catalog',
  'server/catalog/queries',
];

/** So many of something, or so long: a number that may also be a status. */
const QUANTITY = /^const (?:BATCH|PAGE|MOST_\w+|\w+_MS) = \d+;$/gm;

/** Of answers: what lies below 200 is none yet. */
const STATUSES = new Set([
  ...Object.keys(STATUS_CODES)
    .map(Number)
    .filter((status) => status >= 200),
  ...HTTP_STATUSES.values(),
  ...TUS_STATUSES.values(),
  ...RUFH_STATUSES.values(),
]);

/** What each finds is a word of a protocol. */
const PROTOCOL: Record<string, RegExp> = {
  // Upload-Offset, Retry-After, Tidemark-File-Id, ETag…
  header: /\b(?:[A-Z][a-z]+(?:-[A-Z][A-Za-z]*)+|ETag|Location|Authorization)\b/g,
  method: new RegExp(`\\b(?:${METHODS.join('|')})\\b`, 'g'),
  protocol: /\b(?:HTTP|[Tt]us|RUFH|URL)\b/g,
  address: /https?:|['"`](?:[$]{[^}]*})?\/[a-z$]/g,
};

function findWords(source: string): string[] {
  const words = Object.values(PROTOCOL).flatMap((pattern) => source.match(pattern) ?? []);
  const numbers = source.replaceAll(QUANTITY, '').match(/(?<![\d_.])[2-5]\d\d(?![\d_.])/g) ?? [];
  return [...words, ...numbers.filter((number) => STATUSES.has(Number(number)))];
}

test.each(ROOMS)('no word of a protocol stands in %s', async (room) => {
  const found: string[] = [];
  const names = (await readdir(`${ROOT}${room}`)).filter((name) => name.endsWith('.ts'));
  expect(names.length).toBeGreaterThan(1);
  for (const name of names) {
    const words = findWords(await readFile(`${ROOT}${room}/${name}`, 'utf8'));
    found.push(...words.map((word) => `${room}/${name}: ${word}`));
  }
  expect(found).toEqual([]);
});

test.each([
  ["headers: { 'Retry-After': '5' }", 'Retry-After'],
  ["new TidemarkError('too_large', { field: 'Upload-Length' })", 'Upload-Length'],
  ['/** Longest Upload-Metadata that is kept. */', 'Upload-Metadata'],
  ["'Tidemark-File-Id'", 'Tidemark-File-Id'],
  ['Location: baseUrl', 'Location'],
  ['ETag', 'ETag'],
  ['not_found: [404, message]', '404'],
  ['digest_mismatch: 460', '460'],
  ['const GONE = 410;', '410'],
  ['return `/uploads/${id}`;', '`/u'],
  ['return `${baseUrl}/files/${name}`;', '`${baseUrl}/f'],
  ["const base = 'https://tus.io';", 'https:'],
  ['// A HEAD asks for the same.', 'HEAD'],
  ['// tus 1.0.0, "Creation"', 'tus'],
])('a planted word is found: %s', (line, word) => {
  expect(findWords(line)).toContain(word);
});

test('what only looks like one is not found', () => {
  expect(
    findWords(
      "REMEMBER_ENDED_MS = 7 * 24 * 3_600_000; MAX = 255; import { a } from './b.ts'; x / y; UTF-8 SHA-256\nconst PAGE = 500;\n",
    ),
  ).toEqual([]);
});
