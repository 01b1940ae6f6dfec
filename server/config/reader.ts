/** Reads and converts single variables; adds what is wrong with one to the list of problems. */
import { readFileSync } from 'node:fs';
import type { Env } from './env.ts';
import { type ConfigProblem, quote } from './problems.ts';
import { parseBytes, parseDuration } from './units.ts';

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
    const file = optional(`${variable}_FILE`);
    const given = optional(variable);
    if (file === undefined) return given;
    if (given !== undefined) problem(`${variable}_FILE`, `must be unset where ${variable} is set`);
    try {
      const found = readFileSync(file, 'utf8').trim();
      if (found !== '') return found;
      problem(`${variable}_FILE`, 'must name a file that is not empty');
    } catch (error) {
      problem(`${variable}_FILE`, `must name a file that can be read (${(error as NodeJS.ErrnoException).code})`);
    }
    return given;
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

  function duration(variable: string, fallback: string, longest: string): number {
    const given = text(variable, fallback);
    const value = parseDuration(given);
    if (value !== undefined && value > 0 && value <= (parseDuration(longest) ?? 0)) return value;
    problem(variable, `must be a duration such as 30s, 10m or 24h, at most ${longest}, not ${quote(given)}`);
    return 0;
  }

  function flag(variable: string): boolean {
    return (
      oneOf(variable, ['true', 'false', '1', '0', 'yes', 'no', 'on', 'off'], 'false').match(/^(?:true|1|yes|on)$/) !==
      null
    );
  }

  function list(variable: string): string[] {
    return (optional(variable) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
  }

  return { problem, optional, secret, text, wholeNumber, oneOf, bytes, duration, flag, list };
}
