/**
 * Tickets: what a browser shows and saves by itself (`<video>`, `<a download>`) carries no
 * Authorization header. A page with a token gets a cookie that opens GET and HEAD of the
 * addresses of files for an hour, and nothing else. See docs/decisions/0013-files-behind-a-token-in-the-page.md.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CatalogClock } from '../uploads/contract.ts';
import type { AccessConfig } from '../config/config.ts';
import type { TicketJson } from '../wire/files.ts';
import { isFileAddress } from './file-addresses.ts';
import type { Ctx, Handler } from './state.ts';

const COOKIE = 'tidemark_ticket';
const LIFE_S = 3_600;
/** A cookie has one path; the second one is narrowed down further by `isFileAddress`. */
const PATHS = ['/files/', '/api/files/'];

/** POST /api/ticket. */
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

/** DELETE /api/ticket: the browser is to forget it. Only this can: script has no access to the cookies. */
export function endTicketRoute(ctx: Ctx): void {
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Set-Cookie', cookies(ctx, '', 0));
  ctx.status = 204;
}

/** One for each path. */
function cookies(ctx: Ctx, value: string, lifeSeconds: number): string[] {
  const { protocol, pathname } = new URL(ctx.state.baseUrl);
  const base = pathname.replace(/\/$/, '');
  const secure = protocol === 'https:' ? '; Secure' : '';
  return PATHS.map(
    (path) => `${COOKIE}=${value}; Path=${base}${path}; Max-Age=${lifeSeconds}; HttpOnly; SameSite=Strict${secure}`,
  );
}

/** Whose ticket the request carries, where it may be used. */
export function ownerOfTicket(
  ctx: Ctx,
  access: AccessConfig,
  clock: Pick<CatalogClock, 'earliest'>,
): string | undefined {
  if ((ctx.method !== 'GET' && ctx.method !== 'HEAD') || !isFileAddress(ctx.path)) return undefined;
  // SameSite leaves out ports: another service of this host is the same site, and not the same origin (Fetch Metadata).
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

/** Signed with the token's secret: it ends with its token, and every node can read it. */
function writeTicket({ owner, secret }: { owner: string; secret: string }, expiresAt: number): string {
  const text = `${expiresAt}.${Buffer.from(owner).toString('base64url')}`;
  return `${text}.${createHmac('sha256', secret).update(`tidemark ticket ${text}`).digest('base64url')}`;
}

function equal(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
