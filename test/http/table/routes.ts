/**
 * The table of routes. A route of the service that has no row here fails routes.test.ts; one that has is tried
 * with every asker, method and bound, and, by what it takes, with every label, name and size.
 */
import { formOf } from './forms.ts';
import type { Route, Takes } from './route.ts';
import { RUFH_ROUTES, TUS_ROUTES, UPLOAD_ROUTES } from './upload-routes.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };

const FILE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/files/:name',
    group: 'files',
    askers: 'owner',
    takes: ['query'],
    status: 200,
    names: true,
    bytesOfFile: true,
    ask: ({ md5 }) => ({ path: `/files/${md5}.txt` }),
  },
  {
    method: 'GET',
    path: '/api/files',
    group: 'api',
    askers: 'owner',
    takes: ['query', 'sizes'],
    status: 200,
    ask: ({ name }) => ({ path: `/api/files?limit=10&search=${name}` }),
  },
  {
    method: 'GET',
    path: '/api/files/:id',
    group: 'api',
    askers: 'owner',
    takes: [],
    status: 200,
    names: true,
    ask: ({ fileId }) => ({ path: `/api/files/${fileId}` }),
  },
  {
    method: 'PATCH',
    path: '/api/files/:id',
    group: 'api',
    askers: 'owner',
    takes: ['json', 'typed'],
    status: 200,
    names: true,
    ask: ({ fileId, name }) => ({
      path: `/api/files/${fileId}`,
      headers: JSON_TYPE,
      body: JSON.stringify({ name: `renamed-${name}` }),
    }),
  },
  {
    method: 'DELETE',
    path: '/api/files/:id',
    group: 'api',
    askers: 'owner',
    takes: [],
    status: 204,
    names: true,
    ask: ({ fileId }) => ({ path: `/api/files/${fileId}` }),
  },
  {
    method: 'GET',
    path: '/api/files/:id/content',
    group: 'files',
    askers: 'owner',
    takes: ['query'],
    status: 200,
    names: true,
    bytesOfFile: true,
    ask: ({ fileId }) => ({ path: `/api/files/${fileId}/content` }),
  },
  {
    method: 'GET',
    path: '/api/archive',
    group: 'files',
    askers: 'owner',
    takes: ['query'],
    status: 200,
    names: true,
    bytesOfFile: true,
    ask: ({ fileId }) => ({ path: `/api/archive?id=${fileId}` }),
  },
  {
    method: 'POST',
    path: '/api/archive',
    group: 'files',
    askers: 'owner',
    takes: ['ids'],
    status: 200,
    names: true,
    bytesOfFile: true,
    ask: ({ fileId }) => ({ path: '/api/archive', headers: JSON_TYPE, body: JSON.stringify({ id: [fileId] }) }),
  },
];

const LINK_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/links',
    group: 'api',
    askers: 'owner',
    takes: ['json'],
    mostBodyBytes: 64 * 1024,
    status: 201,
    names: true,
    ask: ({ fileId }) => ({ path: '/api/links', headers: JSON_TYPE, body: JSON.stringify({ files: [fileId] }) }),
  },
  {
    method: 'GET',
    path: '/api/links',
    group: 'api',
    askers: 'owner',
    takes: ['query', 'sizes'],
    status: 200,
    ask: () => ({ path: '/api/links?limit=10' }),
  },
  {
    method: 'PATCH',
    path: '/api/links/:id',
    group: 'api',
    askers: 'owner',
    takes: ['json'],
    status: 200,
    names: true,
    ask: ({ linkId }) => ({
      path: `/api/links/${linkId}`,
      headers: JSON_TYPE,
      body: JSON.stringify({ expiresIn: 60 }),
    }),
  },
  {
    method: 'DELETE',
    path: '/api/links/:id',
    group: 'api',
    askers: 'owner',
    takes: [],
    status: 204,
    names: true,
    ask: ({ linkId }) => ({ path: `/api/links/${linkId}` }),
  },
  {
    method: 'GET',
    path: '/s/:secret',
    group: 'files',
    askers: 'page',
    takes: [],
    bySecret: true,
    status: 200,
    ask: ({ linkSecret }) => ({ path: `/s/${linkSecret}` }),
  },
  {
    method: 'POST',
    path: '/s/:secret',
    group: 'files',
    askers: 'page',
    takes: ['query', 'password'],
    bySecret: true,
    status: 303,
    ask: ({ linkSecret }) => ({
      path: `/s/${linkSecret}`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: 'password=any+password',
    }),
  },
  {
    method: 'GET',
    path: '/s/:secret/files/:position',
    group: 'files',
    askers: 'page',
    takes: ['query'],
    bySecret: true,
    status: 200,
    ask: ({ linkSecret }) => ({ path: `/s/${linkSecret}/files/1` }),
  },
  {
    method: 'GET',
    path: '/s/:secret/archive',
    group: 'files',
    askers: 'page',
    takes: [],
    bySecret: true,
    status: 200,
    ask: ({ linkSecret }) => ({ path: `/s/${linkSecret}/archive` }),
  },
];

const OTHER_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/healthz',
    group: null,
    askers: 'anyone',
    takes: [],
    status: 200,
    ask: () => ({ path: '/healthz' }),
  },
  {
    method: 'GET',
    path: '/readyz',
    group: null,
    askers: 'anyone',
    takes: [],
    status: 200,
    ask: () => ({ path: '/readyz' }),
  },
  { method: 'GET', path: '/', group: 'page', askers: 'page', takes: [], status: 200, ask: () => ({ path: '/' }) },
  {
    method: 'GET',
    path: '/assets/:name',
    group: 'page',
    askers: 'page',
    takes: [],
    status: 404,
    ask: () => ({ path: '/assets/of-no-build.js' }),
  },
  {
    method: 'GET',
    path: '/api/events',
    group: 'api',
    askers: 'owner',
    takes: [],
    status: 200,
    ask: () => ({ path: '/api/events', endless: true }),
  },
  {
    method: 'POST',
    path: '/api/ticket',
    group: 'api',
    askers: 'owner',
    takes: [],
    status: 200,
    ask: () => ({ path: '/api/ticket' }),
  },
  {
    method: 'DELETE',
    path: '/api/ticket',
    group: 'api',
    askers: 'owner',
    takes: [],
    status: 204,
    ask: () => ({ path: '/api/ticket' }),
  },
];

const OLDER_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/file/upload',
    group: 'page',
    askers: 'page',
    takes: [],
    status: 200,
    ask: () => ({ path: '/file/upload' }),
  },
  {
    method: 'POST',
    path: '/file/upload',
    group: 'uploads',
    askers: 'owner',
    takes: ['form', 'name', 'labels', 'sizes'],
    status: 302,
    ask: (thing) => ({ path: '/file/upload', ...formOf(thing) }),
  },
  {
    method: 'GET',
    path: '/file/upload/suc',
    group: 'uploads',
    askers: 'owner',
    takes: [],
    status: 200,
    ask: () => ({ path: '/file/upload/suc' }),
  },
  ...(['md5', 'sha1'] as const).flatMap((digest) =>
    (['meta', 'download'] as const).map((name): Route => ({
      method: 'GET',
      path: `/file/${name}`,
      ...(digest === 'md5' ? {} : { by: 'by SHA-1' }),
      group: name === 'meta' ? 'api' : 'files',
      askers: 'owner',
      takes: ['query'],
      status: 200,
      names: true,
      ask: (thing) => ({ path: `/file/${name}?filehash=${thing[digest]}` }),
    })),
  ),
  {
    method: 'GET',
    path: '/file/query',
    group: 'api',
    askers: 'owner',
    takes: ['query', 'sizes'],
    status: 200,
    ask: () => ({ path: '/file/query?limit=10' }),
  },
  {
    method: 'POST',
    path: '/file/update',
    group: 'api',
    askers: 'owner',
    takes: ['query', 'urlencoded', 'typed'],
    status: 200,
    names: true,
    ask: ({ md5, name }) => ({ path: `/file/update?op=0&filehash=${md5}&filename=older-${name}` }),
  },
  ...(['POST', 'DELETE'] as const).map((method): Route => ({
    method,
    path: '/file/delete',
    group: 'api',
    askers: 'owner',
    takes: ['query', 'urlencoded'],
    status: 200,
    names: true,
    ask: ({ md5 }) => ({ path: `/file/delete?filehash=${md5}` }),
  })),
];

/** Every route of the service, and every way of asking it that tells of somebody's things. */
export const ROUTES: readonly Route[] = [
  ...TUS_ROUTES,
  ...RUFH_ROUTES,
  ...UPLOAD_ROUTES,
  ...FILE_ROUTES,
  ...LINK_ROUTES,
  ...OTHER_ROUTES,
  ...OLDER_ROUTES,
];

/** How a failure names it: `PATCH /api/files/:id`. */
export function titleOf({ method, path, by }: Route): string {
  return `${method} ${path}${by === undefined ? '' : `, ${by},`}`;
}

/** Rows for `test.each`, each with its title. */
export function rows(which: (route: Route) => boolean = () => true): [title: string, route: Route][] {
  return ROUTES.filter(which).map((route) => [titleOf(route), route]);
}

export type { Route, Takes };
