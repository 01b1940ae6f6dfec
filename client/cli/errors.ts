/** The errors of the command, and how the terminal shows them: one sentence, no stack. */
import { isGone, isTakenOver, isTransientRefusal } from '../core/refusals.ts';

/** Documented in `--help` and docs/cli.md. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** A failure that no retry would cure. */
export class CliError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'CliError';
    this.code = code;
  }
}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends CliError {
  constructor(message: string) {
    super('usage', message);
    this.name = 'UsageError';
  }
}

/** Ctrl-C, or the signal of a process manager: exit code 130. */
export class InterruptedError extends CliError {
  constructor() {
    super('interrupted', 'Interrupted.');
    this.name = 'InterruptedError';
  }
}

/** The connection failed or stalled: the command does not know what the service did. */
export class TransportError extends Error {
  readonly code: string;
  /** The longest time for which this error is worth retrying; null: as long as `--retry-for` says. */
  readonly patienceMs: number | null;

  constructor(code: string, message: string, options: { cause?: unknown; patienceMs?: number | null } = {}) {
    super(message, options);
    this.name = 'TransportError';
    this.code = code;
    this.patienceMs = options.patienceMs ?? null;
  }
}

/** The request did not get through in this form. The next attempt takes another form, and needs no wait. */
export class OtherFormError extends TransportError {}

/** The service refused a request. `code` and `message` are the service's own where it sent any. */
export class ServiceError extends Error {
  readonly code: string;
  readonly status: number;
  readonly method: string;
  readonly retryAfterMs: number | null;

  constructor(details: {
    code: string;
    message: string;
    status: number;
    method: string;
    retryAfterMs?: number | null;
  }) {
    super(details.message);
    this.name = 'ServiceError';
    this.code = details.code;
    this.status = details.status;
    this.method = details.method;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}

/** Whether a retry may succeed. */
export function isTransient(error: unknown): boolean {
  if (error instanceof TransportError) return true;
  return error instanceof ServiceError && isTransientRefusal(error);
}

/** Whether another client writes to the upload now. */
export function isTakeOver(error: unknown): boolean {
  return error instanceof ServiceError && isTakenOver(error);
}

/** Turns a 404 or 410 into null. @throws any other error. */
export function nullWhenGone(error: unknown): null {
  if (error instanceof ServiceError && isGone(error)) return null;
  throw error;
}

/** The stable code of an error, for `--json`. */
export function codeOf(error: unknown): string {
  if (error instanceof CliError || error instanceof TransportError || error instanceof ServiceError) return error.code;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code.toLowerCase() : 'internal';
}

const SYSTEM_MESSAGES: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  ENOSPC: 'no space left on this disk',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reported an input/output error',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many open files',
};

/** One sentence for any error. */
export function describeError(error: unknown): string {
  if (error instanceof ServiceError) return `${error.message} (${error.status} ${error.code})`;
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const known = code === undefined || error instanceof CliError ? undefined : SYSTEM_MESSAGES[code];
  if (known !== undefined) return path === undefined ? known : `${path}: ${known}`;
  return error.message;
}
