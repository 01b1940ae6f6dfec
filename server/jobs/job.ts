/** What a job is, and what all of them share. */
import type { Logger } from 'pino';
import type { Parts } from '../uploads/parts.ts';
import type { Recovery } from '../uploads/recovery.ts';
import type { Writers } from '../uploads/writers.ts';

export interface Job {
  /** As it stands in the log. */
  readonly name: string;
  /** From the end of one round to the begin of the next. */
  readonly everyMs: number;
  /** One round. It ends early when the service stops. */
  round(): Promise<void>;
}

/** What jobs work with. */
export interface JobParts extends Parts {
  writers: Writers;
  recovery: Recovery;
}

/** As many rows as a job reads at once. */
export const BATCH = 100;

/** Runs a piece of a job; what fails is logged, and comes again with a later round. Whether it succeeded. */
export async function attempt(
  { log, stopping }: { log: Logger; stopping: AbortSignal },
  what: string,
  uploadId: string | undefined,
  action: () => Promise<unknown>,
): Promise<boolean> {
  if (stopping.aborted) return false;
  try {
    await action();
    return true;
  } catch (error) {
    if (!stopping.aborted) log.warn({ uploadId, err: error }, `job: ${what} failed`);
    return false;
  }
}
