/** What clients say about bytes beside their name; the rule is server/wire/labels.ts. */
import type { Label } from './ways.ts';

/** Values that say nothing: they count as not given. */
export const ABSENT: Readonly<Record<Label, readonly string[]>> = {
  filetype: [
    '',
    'null',
    'undefined',
    'image/*',
    '*/*',
    'text',
    'text/',
    '/plain',
    'text/pl\u0430in',
    'text/html; charset',
    'text/html\r\nX: y',
    'x/'.padEnd(400, 'y'),
  ],
  md5: ['', ' ', 'null', 'undefined', ' null '],
  sha1: ['', 'null', 'undefined'],
  sha256: ['', ' ', 'null', 'undefined', 'undefined '],
};

/** Digests that are none: they would not be compared, so that bytes would pass for verified. */
export function malformed(label: Exclude<Label, 'filetype'>): string[] {
  const length = { md5: 32, sha1: 40, sha256: 64 }[label];
  return ['abc', '0'.repeat(length - 1), '0'.repeat(length + 1), 'g'.repeat(length), `0x${'0'.repeat(length - 2)}`];
}

/** Values of Upload-Metadata that cannot be read: nothing is known of what they say. */
export const UNREADABLE_METADATA: readonly string[] = [
  'filename !!!!',
  'filename YQ',
  'filename YQ==YQ==',
  'filename a_b-',
  'filename YQ== YQ==',
  'filename YQ==,filename Yg==',
  ', ,',
  'n\u00e4me YQ==',
];
