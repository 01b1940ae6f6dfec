/** The HTTP edge: middleware in order, then routes. */
import type { IncomingHttpHeaders } from 'node:http';
import Koa from 'koa';
import type { Logger } from 'pino';
import type { CatalogClock, UploadView } from '../uploads/contract.ts';
import type { Config } from '../config/config.ts';
import type { Links } from '../links/contract.ts';
import type { Feed } from '../outbox/feed.ts';
import type { Archives, Files, Folders, Uploads } from '../uploads/contract.ts';
import type { TidemarkError } from '../uploads/errors.ts';
import type { Quotas } from '../uploads/quotas.ts';
import type { Trash } from '../uploads/trash-contract.ts';
import { addFileRoutes } from './api-files.ts';
import { addFolderRoutes } from './api-folders.ts';
import { addArchiveRoutes } from './archive.ts';
import { createArchiveRoom } from './archive-room.ts';
import { authentication } from './auth.ts';
import { checkRoute, proveRoute } from './check.ts';
import { addContentRoutes } from './contents.ts';
import { crossOrigin } from './cors.ts';
import { errorAnswers } from './errors.ts';
import { eventsRoute } from './events.ts';
import { isFileAddress } from './file-addresses.ts';
import { formUploadRoute } from './form-upload.ts';
import { knownHosts } from './known-hosts.ts';
import { addLinkRoutes } from './links.ts';
import { lingeringAnswers } from './linger.ts';
import { addOlderRoutes } from './older-api.ts';
import { methodOverride } from './method-override.ts';
import { createAddressOf } from './public-address.ts';
import { addQuotaRoute } from './quota.ts';
import { requestLog } from './request-log.ts';
import { createRouters, notServedHere, type Routers, serveRoutes } from './routers.ts';
import { addSharedRoutes } from './shared.ts';
import { addSentRoutes, sendingMount } from './sending.ts';
import type { Handler, RequestState } from './state.ts';
import { endTicketRoute, ticketRoute } from './tickets.ts';
import { addTrashRoutes } from './trash.ts';
import type { WebPage } from './web-page.ts';

export interface AppParts {
  config: Config;
  clock: CatalogClock;
  /** `http://host:port` of the socket. */
  listening: () => string;
  uploads: Uploads;
  files: Files;
  folders: Folders;
  trash: Trash;
  archives: Archives;
  quotas: Quotas;
  links: Links;
  /** The origin to which downloads are redirected; null where the service delivers the bytes itself. */
  filesOrigin: string | null;
  feed: Feed;
  /** Aborted when the service begins to stop: ends event streams, which have no end of their own. */
  stopping: AbortSignal;
  web: WebPage;
  /**
   * The endpoint of the protocol that a request speaks: everything below /uploads but downloads of an upload. Undefined for
   * another route. @throws Refusal for a request that speaks several.
   */
  protocolOf: (request: { method: string; path: string; headers: IncomingHttpHeaders }) => Handler | undefined;
  /** Answers POST /api/files: an upload whose body is the file itself. */
  rawUpload: Handler;
  /** The headers with which OPTIONS of /api/files announces that its uploads can be resumed. */
  announced: (headers: IncomingHttpHeaders) => Record<string, string>;
  /** The version of the tus protocol. */
  tusVersion: string;
  /** How far an upload is, in the headers that tus has for it. */
  tusState: (upload: UploadView) => Record<string, string>;
  log: Logger;
  /** Checks what the service depends on, for /readyz. */
  ready: () => Promise<{ ok: boolean; checks: Record<string, string> }>;
  /** Why the service refuses new uploads; undefined while it accepts them. */
  closing: () => TidemarkError | undefined;
}

export function createApp(parts: AppParts): Koa<RequestState> {
  const app = new Koa<RequestState>();
  // The middleware below answers and logs all errors. Only errors about clients that have left would reach Koa's own log.
  app.silent = true;
  app.use(unmounted(parts.config.basePath));
  app.use(requestLog(parts.log));
  app.use(lingeringAnswers());
  app.use(methodOverride());
  app.use(errorAnswers());
  app.use(addressing(parts));
  app.use(knownHosts(parts.config));
  const { services } = parts.config;
  const takesUploads = services.includes('uploads');
  app.use(
    crossOrigin(parts.config.access, ({ path, req }) =>
      path === '/api/files' && takesUploads ? parts.announced(req.headers) : undefined,
    ),
  );
  app.use(authentication(parts.config.access, parts.clock));
  app.use(closingRefusal(parts.closing));
  app.use(protocolMount(parts.protocolOf, takesUploads));
  app.use(sendingMount(parts, takesUploads));
  serveRoutes(app, createRoutes(parts), services);
  return app;
}

/** All routes but those of the protocols' endpoints, by their groups; test/http/table has a row for each. */
export function createRoutes(parts: AppParts): Routers {
  const routers = createRouters();
  const { health, uploads, files, api, page } = routers;
  health.get('/healthz', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  health.get('/readyz', async (ctx) => {
    const { ok, checks } = await parts.ready();
    ctx.status = ok && parts.closing() === undefined ? 200 : 503;
    ctx.body = { status: ctx.status === 200 ? 'ok' : 'unavailable', checks };
  });
  uploads.post('/upload', formUploadRoute(parts));
  uploads.post('/api/files', (ctx, next) => parts.rawUpload(ctx, next));
  addContentRoutes({ uploads, files }, parts);
  const room = createArchiveRoom();
  addArchiveRoutes(files, { ...parts, room });
  api.get('/check', checkRoute(parts.files));
  api.post('/check', proveRoute(parts.files));
  addFileRoutes(api, parts);
  addFolderRoutes(api, parts.folders);
  addTrashRoutes(api, parts.trash);
  addQuotaRoute(api, parts.quotas);
  addLinkRoutes(api, parts);
  addSharedRoutes(files, { ...parts, room });
  addSentRoutes(uploads, parts);
  api.get('/api/events', eventsRoute(parts));
  api.post('/api/ticket', ticketRoute(parts.config.access, parts.clock));
  api.delete('/api/ticket', endTicketRoute);
  for (const path of ['/', '/file/upload']) page.get(path, (ctx) => parts.web.sendPage(ctx));
  page.get('/assets/:name', (ctx) => parts.web.sendAsset(ctx, ctx.params['name'] ?? ''));
  addOlderRoutes(routers, parts);
  return routers;
}

/** Removes the mount path (from PUBLIC_URL) from the request's path, where the proxy has not removed it. */
function unmounted(basePath: string): Handler {
  return async (ctx, next) => {
    if (basePath !== '' && (ctx.path === basePath || ctx.path.startsWith(`${basePath}/`))) {
      ctx.path = ctx.path.slice(basePath.length) || '/';
    }
    await next();
  };
}

/** Sets the headers that every answer has, and finds out by which address the client reaches the service. */
function addressing(parts: AppParts): Handler {
  const addressOf = createAddressOf(parts.config, parts.listening);
  const { access } = parts.config;
  return async (ctx, next) => {
    ctx.set('X-Content-Type-Options', 'nosniff');
    ctx.set('Referrer-Policy', 'no-referrer');
    // Pages of other origins may embed only files that are open to all (Fetch, "cross-origin resource policy").
    const isOpen = access.publicRead && isFileAddress(ctx.path);
    ctx.set('Cross-Origin-Resource-Policy', isOpen ? 'cross-origin' : 'same-origin');
    ctx.state.baseUrl = addressOf(ctx.req);
    // tus 1.0.0, "Tus-Resumable": on every answer, also where other middleware refuses.
    if (/^\/uploads(?:\/|$)/.test(ctx.path)) ctx.set('Tus-Resumable', parts.tusVersion);
    await next();
  };
}

/** While the service stops: refuses new uploads, and closes each connection after its answer. */
function closingRefusal(closing: AppParts['closing']): Handler {
  const beginnings = new Set(['/uploads', '/uploads/', '/upload', '/file/upload', '/api/files']);
  return async (ctx, next) => {
    const reason = closing();
    if (reason) {
      ctx.set('Connection', 'close');
      if ((ctx.method === 'POST' || ctx.method === 'PUT') && beginnings.has(ctx.path)) throw reason;
    }
    await next();
  };
}

/** Passes requests to the endpoint of the protocol that they speak. @param isServed - false: another process does. */
function protocolMount(protocolOf: AppParts['protocolOf'], isServed: boolean): Handler {
  return async (ctx, next) => {
    const answer = protocolOf({ method: ctx.method, path: ctx.path, headers: ctx.req.headers });
    if (!answer) await next();
    else if (isServed) await answer(ctx, async () => undefined);
    else throw notServedHere();
  };
}
