/** Rows of the routes by which somebody sends files by a link: what the link's secret and the upload's id open. */
import { TUS } from '../../harness/tus.ts';
import { APPENDING, SEEING, SENDING } from './by-secret.ts';
import type { Route } from './route.ts';
import { HALF, SIZE } from './things.ts';

const OFFSET_TYPE = { 'Content-Type': 'application/offset+octet-stream' };
const RUFH = { 'Upload-Draft-Interop-Version': '10' };
/** Whoever knows the secret may ask, from any page. */
const BY_LINK = { group: 'uploads', askers: 'page', takes: [] } as const;

const CREATIONS: readonly Route[] = (['/s/:secret', '/s/:secret/uploads'] as const).flatMap((path): Route[] => [
  {
    method: 'POST',
    path,
    by: 'by tus',
    ...BY_LINK,
    bySecret: SENDING,
    takes: ['query'],
    status: 201,
    ask: ({ requestSecret }) => ({
      path: path.replace(':secret', requestSecret),
      headers: { ...TUS, 'Upload-Length': String(SIZE) },
    }),
  },
  ...(path === '/s/:secret' ? (['POST'] as const) : (['POST', 'PUT'] as const)).map((method): Route => ({
    method,
    path,
    by: 'by RUFH',
    speaks: 'rufh',
    ...BY_LINK,
    bySecret: SENDING,
    takes: ['query', 'bytes'],
    status: 201,
    ask: ({ requestSecret, bytes }) => ({
      path: path.replace(':secret', requestSecret),
      headers: { ...RUFH, 'Upload-Complete': '?1' },
      body: bytes,
    }),
  })),
]);

export const SENDING_ROUTES: readonly Route[] = [
  ...CREATIONS,
  {
    method: 'GET',
    path: '/s/:secret/uploads/:id',
    ...BY_LINK,
    bySecret: SEEING,
    status: 200,
    ask: ({ requestSecret, sentId }) => ({ path: `/s/${requestSecret}/uploads/${sentId}` }),
  },
  ...(['HEAD', 'DELETE'] as const).map((method): Route => ({
    method,
    path: '/s/:secret/uploads/:id',
    ...BY_LINK,
    bySecret: SEEING,
    status: method === 'HEAD' ? 200 : 204,
    ask: ({ requestSecret, sentId }) => ({ path: `/s/${requestSecret}/uploads/${sentId}`, headers: TUS }),
  })),
  {
    method: 'PATCH',
    path: '/s/:secret/uploads/:id',
    ...BY_LINK,
    bySecret: APPENDING,
    takes: ['bytes'],
    status: 204,
    ask: ({ requestSecret, sentId }) => ({
      path: `/s/${requestSecret}/uploads/${sentId}`,
      headers: { ...TUS, ...OFFSET_TYPE, 'Upload-Offset': String(HALF) },
      body: 'x',
    }),
  },
  ...(['HEAD', 'GET', 'DELETE'] as const).map((method): Route => ({
    method,
    path: '/s/:secret/uploads/:id',
    by: 'by RUFH',
    speaks: 'rufh',
    ...BY_LINK,
    bySecret: SEEING,
    status: 204,
    ask: ({ requestSecret, sentId }) => ({ path: `/s/${requestSecret}/uploads/${sentId}`, headers: RUFH }),
  })),
  {
    method: 'PATCH',
    path: '/s/:secret/uploads/:id',
    by: 'by RUFH',
    speaks: 'rufh',
    ...BY_LINK,
    bySecret: APPENDING,
    takes: ['bytes'],
    status: 204,
    ask: ({ requestSecret, sentId }) => ({
      path: `/s/${requestSecret}/uploads/${sentId}`,
      headers: {
        ...RUFH,
        'Content-Type': 'application/partial-upload',
        'Upload-Offset': String(HALF),
        'Upload-Complete': '?0',
      },
      body: 'x',
    }),
  },
];
