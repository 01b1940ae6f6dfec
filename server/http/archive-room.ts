/** Room for archives: of each file in one the service keeps what its headers say, until the client has the archive. */
import { MOST_ARCHIVED } from '../uploads/contract.ts';
import { refusal } from './refusals.ts';

/** Archives of so many files together leave no room for another large one: five of the largest. */
const MOST_HELD = 5 * MOST_ARCHIVED;
/** One of at most so many files is always made: it takes no more memory than any other download. */
const FEW = MOST_ARCHIVED / 80;
const RETRY_AFTER_S = '30';

export interface ArchiveRoom {
  /**
   * Runs what makes an archive, or reads what is asked for, with room for so many files; as of the largest one, where it has more, as
   * that is refused.
   *
   * @throws `too_many_connections` where there is none.
   */
  hold(files: number, make: () => Promise<void>): Promise<void>;
}

/** Of all archives that this process makes. */
export function createArchiveRoom(): ArchiveRoom {
  let held = 0;

  return {
    async hold(given, make) {
      const files = Math.min(given, MOST_ARCHIVED);
      if (files > FEW && held + files > MOST_HELD)
        throw refusal('too_many_connections', { headers: { 'Retry-After': RETRY_AFTER_S } });
      held += files;
      try {
        await make();
      } finally {
        held -= files;
      }
    },
  };
}
