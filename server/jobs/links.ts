/** Links: the catalog keeps those that have ended for a month, so that their owner still sees them. */
import { REMEMBER_LINKS_MS } from '../links/contract.ts';
import { BATCH, type Job, type JobParts, whileClaimed } from './job.ts';

const NAME = 'forgetting old links';
const EVERY_MS = 3_600_000;
const CLAIMED_FOR_MS = 600_000;

/** Forgets links that ended long ago; one node at a time does. */
export function linksJob(parts: JobParts): Job {
  const { catalog, surroundings, stopping } = parts;

  async function round(): Promise<void> {
    let after: string | null = '';
    while (after !== null && !stopping.aborted) {
      after = await catalog.forgetLinks(after, REMEMBER_LINKS_MS, BATCH);
      await surroundings.turn();
    }
  }

  return { name: NAME, everyMs: EVERY_MS, round: () => whileClaimed(parts, NAME, CLAIMED_FOR_MS, round) };
}
