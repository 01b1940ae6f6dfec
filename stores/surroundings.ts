/**
 * What a process gets from its environment: time, timers, turns of the event loop, and randomness. They are passed in, so
 * that a test or a simulation can control them. In the folders that use them, the linter forbids the functions behind them.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { uptime } from 'node:os';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { readBootId } from './boot-id.ts';

/** A timer, as Node's own. */
export interface Timer {
  /** Starts again from its full time. */
  refresh(): unknown;
  /** Does not keep the process alive. */
  unref(): unknown;
}

export interface WaitOptions {
  /** Aborts the waiting, which then rejects. */
  signal?: AbortSignal | undefined;
  /** False: does not keep the process alive. */
  ref?: boolean;
}

export interface Surroundings {
  /** The wall clock, milliseconds since the epoch. It may jump: see server/catalog/sqlite/clock.ts for what expires. */
  wallMs(): number;
  /** A monotonic clock, from an arbitrary moment on. */
  elapsedMs(): number;
  /** Time since the machine's boot, the same for all processes. */
  uptimeMs(): number;
  /** The id of the machine's current boot; null where it is not known. */
  readonly bootId: string | null;

  setTimeout(action: () => void, afterMs: number): Timer;
  clearTimeout(timer: Timer | undefined): void;
  wait(forMs: number, options?: WaitOptions): Promise<void>;
  /** Waits for one turn of the event loop, in which all that is ready is read. */
  turn(): Promise<void>;

  /** From 0 to below 1; not for secrets, as it can be guessed. */
  random(): number;
  /** A UUID. */
  newId(): string;
  /**
   * A UUID that begins with the time: ids of one moment lie side by side in an index, so a commit changes fewer of its pages.
   * Not for names in a bucket: providers distribute those by their beginnings.
   */
  newOrderedId(): string;
  /** Hexadecimal digits of so many random bytes. */
  randomHex(bytes: number): string;
}

/** The machine's own. */
export const SYSTEM: Surroundings = {
  wallMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  uptimeMs: () => uptime() * 1000,
  bootId: readBootId(),
  setTimeout: (action, afterMs) => setTimeout(action, afterMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  wait: (forMs, options) => wait(forMs, undefined, options),
  turn: () => turn(),
  random: () => Math.random(),
  newId: () => randomUUID(),
  newOrderedId: () => orderedId(Date.now()),
  randomHex: (bytes) => randomBytes(bytes).toString('hex'),
};

/** A UUID of version 7 (RFC 9562 section 5.7): the time, then 74 random bits. */
export function orderedId(wallMs: number): string {
  const time = wallMs.toString(16).padStart(12, '0');
  // Of a random UUID the version is replaced, and what comes before it.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
