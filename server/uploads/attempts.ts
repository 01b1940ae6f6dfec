/** How often an owner may try to prove that they have a content: each attempt makes the service read. */

/** Many files in a row may be new; then an owner gets one more attempt every few seconds. */
const MOST_ATTEMPTS = 500;
const ANOTHER_AFTER_MS = 5_000;
/** More than a command or a page has under way. */
const MOST_AT_ONCE = 32;

export interface Attempts {
  /** Whether the owner may try now. */
  areLeft(owner: string): boolean;
  /** Begins an attempt; undefined where none is left, or too many are running. */
  begin(owner: string): Attempt | undefined;
}

export interface Attempt {
  /** Sets the number of attempts that it counts for. */
  count(cost: number): void;
  /** Ends it, once it reads no more: until then it counts among those that are running. */
  end(): void;
}

interface Account {
  left: number;
  /** When `left` was true; by a monotonic clock. */
  at: number;
  running: number;
}

/** @param nowMs - a monotonic clock. */
export function createAttempts(nowMs: () => number): Attempts {
  /** By owner: there are no more of them than names in AUTH_TOKENS. */
  const accounts = new Map<string, Account>();

  function accountOf(owner: string): Account {
    const now = nowMs();
    const account = accounts.get(owner) ?? { left: MOST_ATTEMPTS, at: now, running: 0 };
    accounts.set(owner, account);
    account.left = Math.min(MOST_ATTEMPTS, account.left + (now - account.at) / ANOTHER_AFTER_MS);
    account.at = now;
    return account;
  }

  return {
    areLeft: (owner) => accountOf(owner).left >= 1,

    begin(owner) {
      const account = accountOf(owner);
      if (account.left < 1 || account.running >= MOST_AT_ONCE) return undefined;
      account.running++;
      return {
        count: (cost) => {
          account.left = Math.max(0, account.left - cost);
        },
        end: () => {
          account.running--;
        },
      };
    },
  };
}
