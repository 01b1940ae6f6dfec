/** The signals that stop the service (SIGTERM, SIGINT). */
import { constants } from 'node:os';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

type Handler = (signal: NodeJS.Signals) => void;

/**
 * Makes a signal exit the process at once, while there is nothing to stop yet. Without a handler, a process with the id 1,
 * as in a container, would ignore it.
 */
export function endOnSignals(): void {
  for (const signal of STOP_SIGNALS) process.on(signal, endAtOnce);
}

/** From now on each signal calls this handler, and does not exit the process. */
export function onStopSignals(handler: Handler): void {
  for (const signal of STOP_SIGNALS) process.off(signal, endAtOnce).on(signal, handler);
}

function endAtOnce(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}
