/** The routes by which bytes come: below /uploads, /check and /upload. */
import { encodeMetadata, TUS } from '../../harness/tus.ts';
import { formOf } from './forms.ts';
import type { Route } from './route.ts';
import { HALF, SIZE } from './things.ts';

const OFFSET_TYPE = { 'Content-Type': 'application/offset+octet-stream' };

// Everything below /uploads but GET: the tus endpoint, which stands before the router.
export const TUS_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/uploads',
    askers: 'owner',
    takes: ['bytes', 'name', 'labels', 'sizes'],
    status: 201,
    ask: ({ bytes, name, md5 }) => ({
      path: '/uploads',
      headers: {
        ...TUS,
        ...OFFSET_TYPE,
        'Upload-Length': String(bytes.length),
        'Upload-Metadata': encodeMetadata({ filename: name, md5 }),
      },
      body: bytes,
    }),
  },
  {
    method: 'POST',
    path: '/uploads',
    by: 'without a byte',
    askers: 'owner',
    takes: ['name', 'labels', 'sizes'],
    status: 201,
    ask: ({ bytes, name, md5 }) => ({
      path: '/uploads',
      headers: {
        ...TUS,
        'Upload-Length': String(bytes.length),
        'Upload-Metadata': encodeMetadata({ filename: name, md5 }),
      },
    }),
  },
  {
    method: 'HEAD',
    path: '/uploads/:id',
    askers: 'owner',
    takes: [],
    status: 200,
    names: true,
    ask: ({ openId }) => ({ path: `/uploads/${openId}`, headers: TUS }),
  },
  {
    method: 'HEAD',
    path: '/uploads/:id',
    by: 'of a published one',
    askers: 'owner',
    takes: [],
    status: 200,
    names: true,
    ask: ({ uploadId }) => ({ path: `/uploads/${uploadId}`, headers: TUS }),
  },
  {
    method: 'PATCH',
    path: '/uploads/:id',
    askers: 'owner',
    takes: ['bytes', 'name', 'labels', 'sizes'],
    status: 204,
    names: true,
    ask: ({ openId }) => ({
      path: `/uploads/${openId}`,
      headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': String(HALF) },
      // Only a piece of the file: other rows look at what the upload becomes.
      body: 'x'.repeat(SIZE - HALF - 1),
    }),
  },
  {
    method: 'PATCH',
    path: '/uploads/:id',
    by: 'of a published one, at a wrong offset',
    askers: 'owner',
    takes: ['bytes', 'sizes'],
    status: 409,
    names: true,
    ask: ({ uploadId }) => ({
      path: `/uploads/${uploadId}`,
      headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': '1' },
      body: 'x',
    }),
  },
  ...(['openId', 'uploadId'] as const).map((which): Route => ({
    method: 'DELETE',
    path: '/uploads/:id',
    ...(which === 'openId' ? {} : { by: 'of a published one' }),
    askers: 'owner',
    takes: [],
    status: 204,
    names: true,
    ask: (thing) => ({ path: `/uploads/${thing[which]}`, headers: TUS }),
  })),
];

export const UPLOAD_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/uploads/:id',
    askers: 'owner',
    takes: ['query'],
    status: 200,
    names: true,
    ask: ({ uploadId }) => ({ path: `/uploads/${uploadId}` }),
  },
  {
    method: 'GET',
    path: '/uploads/:id',
    by: 'of an unfinished one, with Tus-Resumable',
    askers: 'owner',
    takes: [],
    status: 200,
    names: true,
    ask: ({ openId }) => ({ path: `/uploads/${openId}`, headers: TUS }),
  },
  {
    method: 'GET',
    path: '/check',
    askers: 'owner',
    takes: ['query', 'sizes'],
    status: 200,
    tellsWithInstantAll: true,
    ask: ({ md5, sha256 }) => ({ path: `/check?md5=${md5}&size=${SIZE}&sha256=${sha256}` }),
  },
  {
    method: 'GET',
    path: '/check',
    by: 'with filename',
    askers: 'owner',
    takes: ['query', 'name', 'labels'],
    status: 200,
    tellsWithInstantAll: true,
    ask: ({ md5, name }) => ({ path: `/check?md5=${md5}&filename=again-${name}` }),
  },
  {
    method: 'GET',
    path: '/check',
    by: 'of an unfinished upload',
    askers: 'owner',
    takes: ['query'],
    status: 200,
    tellsWithInstantAll: true,
    ask: ({ openMd5 }) => ({ path: `/check?md5=${openMd5}` }),
  },
  {
    method: 'POST',
    path: '/upload',
    askers: 'owner',
    takes: ['query', 'form', 'name', 'labels', 'sizes'],
    status: 200,
    ask: (thing) => ({ path: '/upload', ...formOf(thing) }),
  },
  {
    method: 'POST',
    path: '/upload',
    by: 'with its digests',
    askers: 'owner',
    takes: ['query', 'form', 'name', 'labels', 'sizes'],
    status: 200,
    tellsWithInstantAll: true,
    ask: (thing) => ({ path: `/upload?md5=${thing.md5}&sha256=${thing.sha256}`, ...formOf(thing) }),
  },
];
