/**
 * Tickets: where a browser fetches a file by itself (`<video>`, `<a download>`), it sends no Authorization header. So a page
 * with a token gets a cookie that allows downloads of files for an hour, and nothing else.
 * See docs/decisions/0013-files-behind-a-token-in-the-page.md.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CatalogClock } from '../uploads/contract.ts';
import type { AccessConfig } from '../config/config.ts';
import type { TicketJson } from '../wire/files.ts';
import { ARCHIVE_PATH, isDownload } from './file-addresses.ts';
import type { Ctx, Handler } from './state.ts';

const COOKIE = 'tidemark_ticket';
const LIFE_S = 3_600;
/** A cookie has only one path, so there are three cookies. `isDownload` narrows the second path down further. */
const PATHS = ['/files/', '/api/files/', ARCHIVE_PATH];

/** POST /api/ticket: sets the cookies. */
export function ticketRoute(access: AccessConfig, clock: Pick<CatalogClock, 'latest'>): Handler {
  return (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    const token = access.tokens.find(({ owner }) => owner === ctx.state.owner);
    if (token) {
      const expiresAt = Math.floor(clock.latest() / 1000) + LIFE_S;
      ctx.set('Set-Cookie', cookies(ctx, writeTicket(token, expiresAt), LIFE_S));
    }
    ctx.body = { expiresInSeconds: token ? LIFE_S : null } satisfies TicketJson;
  };
}

/** DELETE /api/ticket: removes the cookies, which scripts of the page cannot do (HttpOnly). */
export function endTicketRoute(ctx: Ctx): void {
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Set-Cookie', cookies(ctx, '', 0));
  ctx.status = 204;
}

/** The Set-Cookie headers, one for each path. */
function cookies(ctx: Ctx, value: string, lifeSeconds: number): string[] {
  const { protocol, pathname } = new URL(ctx.state.baseUrl);
  const base = pathname.replace(/\/$/, '');
  const secure = protocol === 'https:' ? '; Secure' : '';
  return PATHS.map(
    (path) => `${COOKIE}=${value}; Path=${base}${path}; Max-Age=${lifeSeconds}; HttpOnly; SameSite=Strict${secure}`,
  );
}

/** The owner of a request's ticket; undefined without a valid one, or where a ticket does not count. */
export function ownerOfTicket(
  ctx: Ctx,
  access: AccessConfig,
  clock: Pick<CatalogClock, 'earliest'>,
): string | undefined {
  if (!isDownload(ctx.method, ctx.path)) return undefined;
  // SameSite ignores ports: another service on this host is the same site, though not the same origin (Fetch Metadata).
  const from = ctx.get('Sec-Fetch-Site');
  if (from !== '' && from !== 'same-origin' && from !== 'none') return undefined;
  const given = ctx.cookies.get(COOKIE);
  if (given === undefined) return undefined;
  const expiresAt = Number(given.split('.', 1)[0]);
  if (!(expiresAt * 1000 > clock.earliest())) return undefined;
  const found = access.tokens.find((token) => equal(given, writeTicket(token, expiresAt)));
  if (found) ctx.set('Cross-Origin-Resource-Policy', 'same-origin');
  return found?.owner;
}

/** Makes a ticket, signed with the token's secret: it is valid on every node, and no longer than its token. */
function writeTicket({ owner, secret }: { owner: string; secret: string }, expiresAt: number): string {
  const text = `${expiresAt}.${Buffer.from(owner).toString('base64url')}`;
  return `${text}.${createHmac('sha256', secret).update(`tidemark ticket ${text}`).digest('base64url')}`;
}

function equal(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
