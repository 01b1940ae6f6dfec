/**
 * What a process has around it: time, timers, turns of the event loop and chance. They are handed in, so that a test
 * or a simulation decides them. The linter keeps the functions behind them out of the rooms that are given these.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { uptime } from 'node:os';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { readBootId } from './boot-id.ts';

/** As Node's own. */
export interface Timer {
  /** Starts again from its full time. */
  refresh(): unknown;
  /** Does not keep the process alive. */
  unref(): unknown;
}

export interface WaitOptions {
  /** Ends the waiting: it rejects. */
  signal?: AbortSignal | undefined;
  /** False: does not keep the process alive. */
  ref?: boolean;
}

export interface Surroundings {
  /** The wall clock, milliseconds since the epoch. It may jump: see server/catalog/sqlite/clock.ts for what expires. */
  wallMs(): number;
  /** Since whenever; never goes back. */
  elapsedMs(): number;
  /** The same for all processes, until the machine restarts. */
  uptimeMs(): number;
  /** Which start of the machine this is; null where that is not known. */
  readonly bootId: string | null;

  setTimeout(action: () => void, afterMs: number): Timer;
  clearTimeout(timer: Timer | undefined): void;
  wait(forMs: number, options?: WaitOptions): Promise<void>;
  /** One turn of the event loop: what is ready to be read has been read then. */
  turn(): Promise<void>;

  /** From 0 to below 1; nobody relies on it not to be guessed. */
  random(): number;
  /** A UUID. */
  newId(): string;
  /** Hexadecimal digits of so many random bytes. */
  randomHex(bytes: number): string;
}

/** Those of the machine. */
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
  randomHex: (bytes) => randomBytes(bytes).toString('hex'),
};
