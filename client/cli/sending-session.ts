/** An upload link as this command uses it: a service of its own, without the user's token, opened by a password where it has one. */
import type { RequestedJson } from '../../server/wire/links.ts';
import type { LinkAddress } from '../core/addresses.ts';
import { ask, type Context } from './context.ts';
import { ServiceError, UsageError } from './errors.ts';
import { noSuchLink } from './link-calls.ts';
import type { LinkPassword } from './link-password.ts';
import { createServiceClient } from './service-client.ts';

const TICKET = /^(tidemark_link=[\w.-]{1,200})(?:;|$)/;

export interface SendingSession {
  /** The command's context, whose service is the link: uploads are created below it. */
  readonly context: Context;
  /** What the link takes. @throws CliError `not_found`, `wrong_link`; ServiceError `link_expired`; UsageError without a password. */
  look(): Promise<RequestedJson>;
  /** Runs what needs the link's password; asks for that again where its ticket has expired. */
  unlocking<T>(run: () => Promise<T>): Promise<T>;
  /** The path of an upload of this link below its service's base. */
  pathOf(uploadUrl: string): string;
}

export function openSendingSession(
  { base, path }: LinkAddress,
  password: LinkPassword,
  context: Context,
): SendingSession {
  const { settings } = context.service;
  const { signal } = context;
  const ofLink: Record<string, string> = {};
  const outside: Context = { ...context, service: createServiceClient({ ...settings, serverUrl: base, token: null }) };
  // Below the link's address are uploads as below the service's own.
  const service = createServiceClient({ ...settings, serverUrl: base + path, token: null }, ofLink);

  async function sendPassword(text: string): Promise<void> {
    try {
      for (const cookie of await outside.service.unlockLink(path, text, signal)) {
        const ticket = TICKET.exec(cookie)?.[1];
        if (ticket !== undefined) ofLink['Cookie'] = ticket;
      }
    } catch (error) {
      throw error instanceof ServiceError && error.status === 404 ? noSuchLink() : error;
    }
  }

  async function unlocking<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const isLocked = error instanceof ServiceError && error.code === 'password_required';
      if (!isLocked) throw error;
      if (!password.canBeHad)
        throw new UsageError('The link has a password: --password-file names a file that has it.');
      await password.unlock(sendPassword);
      return run();
    }
  }

  async function look(): Promise<RequestedJson> {
    try {
      return await unlocking(() =>
        ask(outside, null, () => outside.service.openRequest(path, ofLink['Cookie'] ?? '', signal)),
      );
    } catch (error) {
      throw error instanceof ServiceError && error.status === 404 ? noSuchLink() : error;
    }
  }

  return {
    context: { ...context, service },
    look,
    unlocking,
    pathOf: (uploadUrl) => `/uploads/${uploadUrl.slice(uploadUrl.lastIndexOf('/') + 1)}`,
  };
}
