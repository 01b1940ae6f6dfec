/** The signals that end the service (SIGTERM, SIGINT). */
import { constants } from 'node:os';

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

type Handler = (signal: NodeJS.Signals) => void;

/** Until there is something to stop, a signal ends the process at once: one with the id 1, as in a container, has no default. */
export function endOnSignals(): void {
  for (const signal of STOP_SIGNALS) process.on(signal, endAtOnce);
}

/** From now on this is told instead, each time. */
export function onStopSignals(handler: Handler): void {
  for (const signal of STOP_SIGNALS) process.off(signal, endAtOnce).on(signal, handler);
}

function endAtOnce(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}
