/** Reads and converts single variables; adds what is wrong with one to the list of problems. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Env } from './env.ts';
import { type ConfigProblem, quote } from './problems.ts';
import { parseBytes, parseDuration } from './units.ts';

const FLAGS = ['true', 'false', '1', '0', 'yes', 'no', 'on', 'off'];

export type Reader = ReturnType<typeof createReader>;

/** @param problems - the list to which the reader adds. The value of a variable with a problem is its fallback. */
export function createReader(env: Env, problems: ConfigProblem[]) {
  function problem(variable: string, message: string): void {
    problems.push({ variable, message });
  }

  function optional(variable: string): string | undefined {
    return env[variable]?.trim() || undefined;
  }

  /** Reads a value that may also be in a file, which `<variable>_FILE` names. */
  function secret(variable: string): string | undefined {
    const given = optional(variable);
    if (given !== undefined && optional(`${variable}_FILE`) !== undefined)
      problem(`${variable}_FILE`, `must be unset where ${variable} is set`);
    return content(`${variable}_FILE`) ?? given;
  }

  /** What is in the file that a variable names; `check` throws what it must be instead. */
  function content(variable: string, check?: (found: string) => void): string | undefined {
    const file = optional(variable);
    try {
      return file === undefined ? undefined : readText(file, check);
    } catch (error) {
      problem(variable, `must name a file ${(error as Error).message}`);
      return undefined;
    }
  }

  function text(variable: string, fallback: string): string {
    return optional(variable) ?? fallback;
  }

  function wholeNumber(variable: string, fallback: number, least: number, most: number): number {
    const given = optional(variable);
    if (given === undefined) return fallback;
    const value = Number(given);
    if (/^\d+$/.test(given) && value >= least && value <= most) return value;
    problem(variable, `must be a whole number from ${least} to ${most}, not ${quote(given)}`);
    return fallback;
  }

  function oneOf<T extends string>(variable: string, choices: readonly T[], fallback: T): T {
    const given = optional(variable)?.toLowerCase();
    const choice = choices.find((value) => value === (given ?? fallback));
    if (choice !== undefined) return choice;
    const right = choices.length > 1 ? `one of ${choices.join(', ')}` : `${choices[0]} in this version`;
    problem(variable, `must be ${right}, not ${quote(given ?? '')}`);
    return fallback;
  }

  function bytes(variable: string): number | null {
    const given = optional(variable);
    if (given === undefined) return null;
    const value = parseBytes(given);
    if (value !== undefined && value > 0) return value;
    problem(variable, `must be a size such as 500MB or 10GiB, not ${quote(given)}`);
    return null;
  }

  /** @param options.orNone - `0`, with or without a unit, is accepted, too. */
  function duration(variable: string, fallback: string, longest: string, { orNone = false } = {}): number {
    const given = text(variable, fallback);
    const value = orNone && given === '0' ? 0 : (parseDuration(given) ?? -1);
    if (value >= (orNone ? 0 : 1) && value <= (parseDuration(longest) ?? 0)) return value;
    const none = orNone ? '0, or ' : '';
    problem(variable, `must be ${none}a duration such as 30s, 10m or 24h, at most ${longest}, not ${quote(given)}`);
    return 0;
  }

  function flag(variable: string): boolean {
    return /^(?:true|1|yes|on)$/.test(oneOf(variable, FLAGS, 'false'));
  }

  function list(variable: string): string[] {
    return (optional(variable) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
  }

  return { problem, optional, secret, content, text, wholeNumber, oneOf, bytes, duration, flag, list };
}

/** @throws Error that says what a file must be instead. */
function readText(file: string, check: (text: string) => void = () => undefined): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Error(`that can be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
  if (text === '') throw new Error('that is not empty');
  check(text);
  return text;
}

/** @throws Error that says what a file must be instead. */
export function checkCertificates(text: string): void {
  try {
    void new X509Certificate(text);
  } catch (error) {
    throw new Error('with certificates in PEM', { cause: error });
  }
}
