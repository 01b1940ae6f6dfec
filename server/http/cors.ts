/** Pages of other origins: which of them may use the service from a browser. See docs/decisions/0008-other-origins.md. */
import type { AccessConfig } from '../config/config.ts';
import { SHARED_PATH, UPLOADS_OF_LINK } from '../wire/addresses.ts';
import { refusal } from './refusals.ts';
import type { Ctx, Handler } from './state.ts';

const EXPOSED = [
  'Location',
  'Upload-Offset',
  'Upload-Length',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Metadata',
  'Upload-Expires',
  'Tus-Version',
  'Tus-Resumable',
  'Tus-Extension',
  'Tus-Max-Size',
  'Upload-Complete',
  'Upload-Incomplete',
  'Upload-Limit',
  'Upload-Draft-Interop-Version',
  'Accept-Patch',
  'Repr-Digest',
  'Want-Repr-Digest',
  'Want-Content-Digest',
  'Tus-Checksum-Algorithm',
  'Tidemark-File-Id',
  'Tidemark-File-Name',
  'Tidemark-File-Url',
  'Tidemark-Idle',
  'X-Request-Id',
  'Content-Range',
  'Content-Disposition',
  'Accept-Ranges',
  'ETag',
  'Retry-After',
].join(', ');

const ALLOWED = [
  'Authorization',
  'Content-Type',
  'Range',
  'If-Range',
  'If-Match',
  'If-None-Match',
  'Tus-Resumable',
  'Upload-Checksum',
  'Upload-Concat',
  'Upload-Length',
  'Upload-Defer-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'Upload-Complete',
  'Upload-Incomplete',
  'Upload-Draft-Interop-Version',
  'Content-Disposition',
  'Content-Digest',
  'Repr-Digest',
  'Want-Repr-Digest',
  'X-HTTP-Method-Override',
  'X-Requested-With',
  'X-Request-Id',
  // What tools in a page add to its requests by themselves: W3C Trace Context and Baggage, Sentry, Datadog, New Relic,
  // Application Insights, Zipkin; and Last-Event-ID, which replacements of EventSource send.
  'Baggage',
  'Last-Event-ID',
  'Newrelic',
  'Request-Context',
  'Request-Id',
  'Sentry-Trace',
  'Traceparent',
  'Tracestate',
  'X-Datadog-Origin',
  'X-Datadog-Parent-Id',
  'X-Datadog-Sampling-Priority',
  'X-Datadog-Trace-Id',
  'B3',
];

/**
 * Decides which pages may use the service, by the Origin that browsers send. Requests without an Origin pass. Answers OPTIONS
 * itself, but for those that an upload protocol answers.
 *
 * @param announcedOf - what a target of resumable uploads announces on OPTIONS; undefined for any other path.
 */
export function crossOrigin(
  { corsOrigins: allowed, corsHeaders, corsCredentials }: AccessConfig,
  announcedOf: (ctx: Ctx) => Record<string, string> | undefined,
): Handler {
  const allowedHeaders = [...ALLOWED, ...corsHeaders].join(', ');
  return async (ctx, next) => {
    const origin = ctx.get('Origin');
    if (allowed !== '*') ctx.vary('Origin');
    const mayRead = origin !== '' && (allowed === '*' || allowed.includes(origin));
    if (mayRead) {
      ctx.set('Access-Control-Allow-Origin', allowed === '*' ? '*' : origin);
      ctx.set('Access-Control-Expose-Headers', EXPOSED);
      if (corsCredentials) ctx.set('Access-Control-Allow-Credentials', 'true');
    } else if (origin !== '' && ctx.method !== 'OPTIONS' && !isOpen(ctx) && !isOurs(origin, ctx)) {
      // Browsers send forms without a preflight: such a request would take effect although the page cannot read the answer.
      throw refusal('origin_not_allowed', { field: 'Origin', message: whatToSet(origin, ctx) });
    }
    if (ctx.method === 'OPTIONS') {
      if (mayRead) {
        ctx.set('Access-Control-Allow-Methods', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
        ctx.set('Access-Control-Allow-Headers', allowedHeaders);
        ctx.set('Access-Control-Max-Age', '86400');
      }
      const announced = announcedOf(ctx);
      if (announced) {
        ctx.set(announced);
        // The draft's own status for it ("Limits").
        ctx.status = 200;
        ctx.body = '';
        return;
      }
      // Where uploads are created, OPTIONS is also how a tus client asks for the server's capabilities.
      if (!/^\/uploads(?:\/[^/]*)?$/.test(ctx.path) && !UPLOADS_OF_LINK.test(ctx.path)) {
        ctx.status = 204;
        return;
      }
    }
    await next();
  };
}

/**
 * Whether the request is for a link, whose secret is in its address: a page that does not know that gains nothing by what the
 * browser adds. The page of a link sends its password with `Origin: null`, as it tells nobody its address.
 *
 * Or whether the request is for the page itself, which contains no user's data. Behind a proxy that passes another Host, the
 * requests for its scripts have an Origin that looks foreign: the page has to load to show that problem.
 */
function isOpen({ method, path }: Ctx): boolean {
  if (path.startsWith(SHARED_PATH)) return true;
  const isReading = method === 'GET' || method === 'HEAD';
  return isReading && /^\/(?:assets\/.*|file\/upload)?$/.test(path);
}

/** Whether an origin is that of this service. Ignores the scheme: TLS may end at a proxy that does not forward it. */
function isOurs(origin: string, ctx: Ctx): boolean {
  if (!URL.canParse(origin)) return false;
  const { host, protocol } = new URL(origin);
  return host !== '' && (host === hostUnder(protocol, ctx.get('Host')) || host === new URL(ctx.state.baseUrl).host);
}

/** A Host header in the form of an origin: without the default port of the scheme (RFC 6454 section 6.2). */
function hostUnder(protocol: string, host: string): string {
  const url = `${protocol}//${host}`;
  return URL.canParse(url) ? new URL(url).host : host.toLowerCase();
}

/** The message for the operator: in most cases, the origin is that of the service's own page behind a proxy. */
function whatToSet(origin: string, ctx: Ctx): string {
  const shown = /^[\w.:/[\]+-]{1,200}$/.test(origin) ? origin : 'this origin';
  return (
    `Pages of ${shown} may not use this service, which was addressed as ${new URL(ctx.state.baseUrl).host}. ` +
    'Behind a proxy set PUBLIC_URL, or TRUST_PROXY, or let the proxy pass Host; for another site set CORS_ORIGINS.'
  );
}
