/** What a job is, and what all jobs share. */
import type { Logger } from 'pino';
import type { Parts } from '../uploads/parts.ts';
import type { Finals } from '../uploads/finals.ts';
import type { Recovery } from '../uploads/recovery.ts';
import type { Writers } from '../uploads/writers.ts';

/** A piece of work that is repeated in the background. */
export interface Job {
  /** Its name in the log. */
  readonly name: string;
  /** From the end of one round to the beginning of the next. */
  readonly everyMs: number;
  /** One round. It ends early when the service stops. */
  round(): Promise<void>;
}

/** What jobs work with. */
export interface JobParts extends Parts {
  writers: Writers;
  recovery: Recovery;
  finals: Finals;
}

/** How many rows a job reads at once. */
export const BATCH = 100;

/**
 * Runs an action on each row of a list that comes in pages, until the service stops. A row that fails is logged; a
 * later round retries it.
 *
 * @param list - returns the page that follows a row; null: the first page.
 */
export async function eachRow<Row extends object>(
  parts: { log: Logger; stopping: AbortSignal },
  what: string,
  list: (after: Row | null) => Promise<Row[]>,
  action: (row: Row) => Promise<unknown>,
): Promise<void> {
  for (let after: Row | null = null; ;) {
    const page: Row[] = await list(after);
    for (const row of page) {
      if (parts.stopping.aborted) return;
      after = row;
      await attempt(parts, what, 'id' in row && typeof row.id === 'string' ? row.id : undefined, () => action(row));
    }
    if (page.length < BATCH) return;
  }
}

/** Runs an action under a claim in the catalog. Does nothing where another node has the claim. */
export async function whileClaimed(
  { catalog, leases }: Pick<Parts, 'catalog' | 'leases'>,
  claim: string,
  forMs: number,
  action: () => Promise<unknown>,
): Promise<void> {
  if (!(await catalog.claim(claim, leases.node, forMs))) return;
  try {
    await action();
  } finally {
    await catalog.unclaim(claim, leases.node);
  }
}

/** Runs one action of a job. A failure is logged, and a later round retries it. @returns whether it succeeded. */
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
