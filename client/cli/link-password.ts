/** The password of a link: from a file, or asked for at the terminal, and once in a run. */
import { ask, type Context } from './context.ts';
import { CliError, describeError, ServiceError, TransportError } from './errors.ts';
import { askPassword, canAsk, readPasswordFile } from './read-password.ts';

export interface LinkPassword {
  /** Whether it can be had at all. */
  readonly canBeHad: boolean;
  /**
   * Opens the link by it. At the terminal a wrong one can be typed again; one of a file is tried once.
   *
   * @param send - sends it to the service.
   */
  unlock(send: (password: string) => Promise<void>): Promise<void>;
}

/** How often a password is sent again whose answer was lost: the service may have counted it as a wrong one, of ten. */
const MOST_LOST = 2;

/** @param path - of a file whose first line has it; null: the terminal is asked. */
export async function openLinkPassword(path: string | null, context: Context): Promise<LinkPassword> {
  const given = path === null ? null : await readPasswordFile(path, '--password-file');
  let right: string | null = null;
  let running: Promise<void> | null = null;

  async function unlockOnce(send: (password: string) => Promise<void>): Promise<void> {
    for (;;) {
      const password = given ?? right ?? (await askPassword('Password of the link: '));
      try {
        await sendPatiently(() => send(password), context);
        right = password;
        return;
      } catch (refused) {
        const mayTryAgain = given === null && refused instanceof ServiceError && refused.code === 'wrong_password';
        if (!mayTryAgain) throw refused;
        right = null;
        context.output.complain(refused.message);
      }
    }
  }

  return {
    canBeHad: given !== null || canAsk(),
    unlock(send) {
      // Several connections may learn at once that the link is locked again.
      running ??= unlockOnce(send).finally(() => {
        running = null;
      });
      return running;
    },
  };
}

async function sendPatiently(send: () => Promise<void>, context: Context): Promise<void> {
  let lost = 0;
  await ask(context, null, async () => {
    try {
      await send();
    } catch (error) {
      // What the service has no time for is no attempt; nor is what never reached it.
      const isNone = error instanceof ServiceError ? error.status < 500 || error.status === 503 : wasNotSent(error);
      if (!isNone && ++lost > MOST_LOST)
        throw new CliError('gave_up', `${describeError(error)}; the password was not sent again`, { cause: error });
      throw error;
    }
  });
}

const NOT_SENT = new Set(['econnrefused', 'enotfound', 'eai_again']);

function wasNotSent(error: unknown): boolean {
  return error instanceof TransportError && NOT_SENT.has(error.code);
}
