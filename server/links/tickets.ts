/**
 * Tickets of links: that somebody knew the password, or has begun a download, for a while. They are in no row: each is signed
 * with a secret of the catalog, so that every node knows it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CatalogClock, LinkRecord } from '../catalog/catalog.ts';
import { DOWNLOAD_TICKET_MS, PASSWORD_TICKET_MS, type Target } from './contract.ts';

/** What a ticket is about. */
export type About = 'password' | Target;

type Of = Pick<LinkRecord, 'id' | 'password'>;

export interface LinkTickets {
  write(link: Of, about: About): string;
  /** Whether one of the tickets is about this. */
  has(tickets: readonly string[], link: Of, about: About): boolean;
}

/** @param secret - hexadecimal digits; another key is made from it. */
export function createLinkTickets(secret: string, clock: CatalogClock): LinkTickets {
  const key = createHmac('sha256', Buffer.from(secret, 'hex')).update('tidemark tickets of links').digest();

  function sign({ id, password }: Of, about: About, expiresAt: number): string {
    // With another password, earlier tickets are void.
    const mac = createHmac('sha256', key).update(JSON.stringify([id, password, about, expiresAt]));
    return `${expiresAt}.${mac.digest('base64url')}`;
  }

  return {
    write: (link, about) =>
      sign(link, about, clock.latest() + (about === 'password' ? PASSWORD_TICKET_MS : DOWNLOAD_TICKET_MS)),

    has: (tickets, link, about) =>
      tickets.some((ticket) => {
        const expiresAt = Number(/^(\d{1,15})\.[\w-]{43}$/.exec(ticket)?.[1]);
        return expiresAt > clock.earliest() && isEqual(ticket, sign(link, about, expiresAt));
      }),
  };
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
