/** Tickets of links as cookies: each is for one link alone, or for one download of it. */
import { SHARED_PATH } from '../wire/addresses.ts';
import type { Ctx } from './state.ts';

const COOKIE = 'tidemark_link';

/** All tickets that a request has: of its link, and of what is downloaded. */
export function ticketsOf(ctx: Ctx): string[] {
  // A browser sends cookies of one name together, the one with the longest path first (RFC 6265 section 5.4).
  return [...ctx.get('Cookie').matchAll(/(?:^|;\s*)tidemark_link=([\w.-]{1,100})/g)].map(([, text = '']) => text);
}

/**
 * Gives the client a ticket.
 *
 * @param path - below which it counts: of the request, or a part of that.
 */
export function giveTicket(ctx: Ctx, text: string, { path, lifeMs }: { path: string; lifeMs: number }): void {
  const { protocol, pathname } = new URL(ctx.state.baseUrl);
  const base = pathname.replace(/\/$/, '');
  const secure = protocol === 'https:' ? '; Secure' : '';
  // Lax: whoever follows the link once more, from a mail or another page, is not asked for the password again.
  ctx.append(
    'Set-Cookie',
    `${COOKIE}=${text}; Path=${base}${path}; Max-Age=${Math.floor(lifeMs / 1000)}; HttpOnly; SameSite=Lax${secure}`,
  );
}

/** The path of a link's page. */
export function pathOfLink(ctx: Ctx): string {
  return SHARED_PATH + (ctx.params['secret'] ?? '');
}
