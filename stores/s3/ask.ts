/** Asks repeatedly, over some time and in more than one way, before anything that was acknowledged counts as lost. */
import { StoreError } from '../store.ts';
import type { Surroundings } from '../surroundings.ts';

/** The wait before each further question: long enough for a gateway to recover, short enough for a request to wait. */
const WAITS_MS = [250, 750, 2_000, 4_000];

/** The outcome of one question: what was found, or the answer instead. */
export type Asked<T> =
  | { found: T }
  /**
   * @property evidence - the answer, to be compared with other answers.
   * @property isSure - whether every other call that could answer the question agrees.
   */
  | { evidence: string; isSure: boolean };

/**
 * Repeats a question until something is found, at most five times.
 *
 * @param signal - ends a wait, not a question.
 * @throws StoreError `missing` when all answers were the same, and sure; `unavailable` when they were not, so that the
 *   client retries later; any error that `ask` throws.
 */
export async function askOverTime<T>(
  surroundings: Pick<Surroundings, 'wait'>,
  doing: string,
  ask: () => Promise<Asked<T>>,
  signal?: AbortSignal,
): Promise<T> {
  const told = new Set<string>();
  let areSure = true;
  for (let tried = 0; ; tried++) {
    const answer = await ask();
    if ('found' in answer) return answer.found;
    told.add(answer.evidence);
    areSure &&= answer.isSure;
    const rest = WAITS_MS[tried];
    if (rest === undefined) break;
    await surroundings.wait(rest, { signal }).catch(() => undefined);
    if (signal?.aborted) throw signal.reason;
  }
  const message = `${doing}: ${[...told].join(', then ')}, asked ${WAITS_MS.length + 1} times`;
  throw new StoreError(areSure && told.size === 1 ? 'missing' : 'unavailable', message);
}

/** Whether a call was answered with "not found". */
export function isMissing(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'missing';
}
