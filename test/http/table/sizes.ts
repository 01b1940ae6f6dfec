/** Numbers that requests hold, sizes of bytes and counts of rows, and what each route makes of every kind of them. */
import { TUS } from '../../harness/tus.ts';
import type { Ask } from './ask.ts';
import { formOf } from './forms.ts';
import { HALF, SIZE, type Thing } from './things.ts';

/** MAX_FILE_SIZE of the service that is asked. */
export const LIMIT = 1_000;

/** A status that takes it, or the status and code of a refusal. */
export type Outcome = number | readonly [status: number, code: string];

export interface SizeRow {
  /** Titles of the rows of the table that it goes by. */
  of: readonly string[];
  /** What holds the number. */
  field: string;
  ask(thing: Thing, value: string): Ask;
  /** What a number gets; what is none is `invalid_field`. */
  gets(value: number): Outcome;
}

/** Numbers around every limit. */
export const NUMBERS: readonly number[] = [
  0,
  1,
  HALF - 1,
  HALF,
  SIZE - 1,
  SIZE,
  SIZE + 1,
  LIMIT,
  LIMIT + 1,
  2 ** 31,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
];

/** What is no whole number of bytes, or none that can be counted. */
export const NO_NUMBERS: readonly string[] = [
  '-1',
  '-0',
  '1.5',
  '1e2',
  '0x10',
  '+1',
  '1 000',
  '1,000',
  'x',
  'NaN',
  'Infinity',
  'undefined',
  '\u0661',
  '9007199254740992',
  '9'.repeat(30),
];

const OFFSET_TYPE = { 'Content-Type': 'application/offset+octet-stream' };
const TOO_LARGE = [413, 'too_large'] as const;
const INVALID = [400, 'invalid_field'] as const;
const NOT_FOUND = [404, 'not_found'] as const;

function rowsOf(path: string, title: string): SizeRow {
  return {
    of: [title],
    field: 'limit',
    ask: (_, value) => ({ method: 'GET', path: `${path}?${new URLSearchParams({ limit: value }).toString()}` }),
    gets: (value) => (value >= 1 && value <= 1000 ? 200 : INVALID),
  };
}

function fileOf(path: string, status: number, titles: readonly string[]): SizeRow {
  return {
    of: titles,
    field: 'the bytes of a form',
    ask: ({ bytes, name }, value) => ({
      method: 'POST',
      path,
      ...formOf({ name, bytes: Buffer.concat([bytes, Buffer.alloc(2 * LIMIT)]).subarray(0, Number(value)) }),
    }),
    gets: (value) => (value <= LIMIT ? status : TOO_LARGE),
  };
}

/** A body that is the file itself. */
function rawFile(inChunks: boolean): SizeRow {
  return {
    of: ['POST /api/files', 'POST /api/files, with its digest,'],
    field: inChunks ? 'the bytes of a body in chunks' : 'the bytes of a body',
    ask: ({ bytes }, value) => ({
      method: 'POST',
      path: '/api/files',
      ...(inChunks ? { headers: { 'Transfer-Encoding': 'chunked' } } : {}),
      body: Buffer.concat([bytes, Buffer.alloc(2 * LIMIT)]).subarray(0, Number(value)),
    }),
    gets: (value) => (value <= LIMIT ? 201 : TOO_LARGE),
  };
}

const CREATION = { method: 'POST', path: '/uploads' };

export const SIZE_ROWS: readonly SizeRow[] = [
  rowsOf('/api/links', 'GET /api/links'),
  rowsOf('/api/trash', 'GET /api/trash'),
  {
    ...rowsOf('', 'GET /api/links/:id/uploads'),
    ask: ({ requestId }, value) => ({
      method: 'GET',
      path: `/api/links/${requestId}/uploads?${new URLSearchParams({ limit: value }).toString()}`,
    }),
  },
  ...['', '/none'].map((below) => ({
    ...rowsOf('', `GET /s/:secret/folders/:position${below === '' ? '' : '/*path'}`),
    ask: ({ folderSecret }: Thing, value: string): Ask => ({
      method: 'GET',
      path: `/s/${folderSecret}/folders/1${below}?${new URLSearchParams({ limit: value }).toString()}`,
    }),
    gets: (value: number): Outcome => (value >= 1 && value <= 1000 ? (below === '' ? 200 : NOT_FOUND) : INVALID),
  })),
  {
    of: ['POST /uploads, without a byte,'],
    field: 'Upload-Length',
    ask: (_, value) => ({ ...CREATION, headers: { ...TUS, 'Upload-Length': value } }),
    gets: (value) => (value <= LIMIT ? 201 : TOO_LARGE),
  },
  {
    of: ['POST /uploads'],
    field: `Upload-Length with ${SIZE} bytes`,
    ask: ({ bytes }, value) => ({
      ...CREATION,
      headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Length': value },
      body: bytes,
    }),
    gets: (value) => (value >= SIZE && value <= LIMIT ? 201 : TOO_LARGE),
  },
  {
    of: ['POST /uploads'],
    field: `Upload-Length with ${SIZE} bytes in chunks`,
    ask: ({ bytes }, value) => ({
      ...CREATION,
      headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Length': value, 'Transfer-Encoding': 'chunked' },
      body: bytes,
    }),
    gets: (value) => (value >= SIZE && value <= LIMIT ? 201 : TOO_LARGE),
  },
  {
    of: ['POST /uploads'],
    field: 'Upload-Defer-Length',
    ask: (_, value) => ({ ...CREATION, headers: { ...TUS, 'Upload-Defer-Length': value } }),
    gets: (value) => (value === 1 ? 201 : INVALID),
  },
  {
    of: ['PATCH /uploads/:id', 'PATCH /uploads/:id, of a published one, at a wrong offset,'],
    field: 'Upload-Offset',
    ask: ({ openId }, value) => ({
      method: 'PATCH',
      path: `/uploads/${openId}`,
      headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': value },
      body: 'x',
    }),
    gets: (value) => (value === HALF ? 204 : [409, 'offset_conflict']),
  },
  {
    of: ['PATCH /uploads/:id'],
    field: 'Upload-Length, of an upload that has one',
    ask: ({ openId }, value) => ({
      method: 'PATCH',
      path: `/uploads/${openId}`,
      headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': String(HALF), 'Upload-Length': value },
      body: 'x',
    }),
    gets: () => INVALID,
  },
  {
    of: ['GET /check'],
    field: 'size',
    ask: ({ md5 }, value) => ({
      method: 'GET',
      path: `/check?${new URLSearchParams({ md5, size: value }).toString()}`,
    }),
    gets: () => 200,
  },
  rawFile(false),
  rawFile(true),
  rowsOf('/api/files', 'GET /api/files'),
  rowsOf('/file/query', 'GET /file/query'),
  fileOf('/upload', 200, ['POST /upload', 'POST /upload, with its digests,']),
  fileOf('/file/upload', 302, ['POST /file/upload']),
];

/** Lengths of bodies that no parser of HTTP takes. */
export const NO_LENGTHS: readonly string[] = ['-1', '1.5', '+1', '0x10', 'x', '1, 2', '1,1', '9'.repeat(30)];
