/** The context of a command: the service, the output, and how it retries. */
import { createOutput } from './output.ts';
import type { Output } from './output.ts';
import { createServiceClient } from './service-client.ts';
import type { ServiceClient } from './service-client.ts';
import { readSettings } from './settings.ts';
import type { ConnectionFlags } from './settings.ts';
import { createPatience, patiently } from './retry.ts';
import type { Wait } from './retry.ts';
import { OtherFormError, ServiceError, describeError } from './errors.ts';
import { formatDuration } from './format.ts';

export interface CommonFlags extends ConnectionFlags {
  json?: boolean;
  quiet?: boolean;
}

export interface Context {
  service: ServiceClient;
  output: Output;
  /** Aborted by Ctrl-C, with an InterruptedError. */
  signal: AbortSignal;
  /** The command line that continues this one, without the token. */
  againCommand: string;
}

export function createContext(
  flags: CommonFlags,
  run: { signal: AbortSignal; againCommand: string },
  defaults: { retryFor: string },
): Context {
  return {
    service: createServiceClient(readSettings(flags, defaults)),
    output: createOutput({ json: flags.json === true, quiet: flags.quiet === true }),
    ...run,
  };
}

/**
 * Sends a request to the service, and retries it until it succeeds.
 *
 * @param about - the file that the reports of waits name; null for none.
 * @throws the service's refusal where a retry would not help; CliError `gave_up` after `--retry-for`.
 */
export function ask<T>(context: Context, about: string | null, operation: (attempt: number) => Promise<T>): Promise<T> {
  return patiently(operation, {
    patience: createPatience(context.service.settings.retryForMs),
    signal: context.signal,
    onWait: createWaitReporter(context, about),
  });
}

const REPEAT_AFTER_MS = 10_000;

/** Makes a function that reports why the command waits, but not the same line again within 10 s. */
export function createWaitReporter(context: Context, about: string | null): (wait: Wait) => void {
  let said = '';
  let saidAt = 0;
  return ({ delayMs, error }) => {
    const text = reasonFor(context, error);
    const now = performance.now();
    if (text === said && now - saidAt < REPEAT_AFTER_MS) return;
    said = text;
    saidAt = now;
    const prefix = about === null ? '' : `${about}: `;
    const next = error instanceof OtherFormError ? '' : `; trying again in ${formatDuration(delayMs)}`;
    context.output.say(`${prefix}${text}${next}`);
  };
}

function reasonFor(context: Context, error: unknown): string {
  if (error instanceof ServiceError && error.status === 507) return 'the store is full, waiting for room';
  if (error instanceof ServiceError) return describeError(error);
  const { serverUrl } = context.service.settings;
  const text = describeError(error);
  return text.includes(serverUrl) ? text : `${serverUrl}: ${text}`;
}
