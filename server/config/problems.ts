/** What is wrong with one variable, and what would be right. The message never contains a secret. */
export interface ConfigProblem {
  variable: string;
  message: string;
}

/** The configuration cannot be used. Holds every problem, not just the first. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ variable, message }) => `${variable}: ${message}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** Quotes a value for a message: on one line, shortened; not shown where it could hold a password. */
export function quote(value: string): string {
  if (value.includes('@')) return 'what it is (not shown: it may hold a password)';
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}
