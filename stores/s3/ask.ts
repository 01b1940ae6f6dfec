/** Asks repeatedly, over some time and in more than one way, before anything that was acknowledged counts as lost. */
import { StoreError } from '../store.ts';
import type { Surroundings } from '../surroundings.ts';

/** The wait before each further question: long enough for a gateway to recover, short enough for a request to wait. */
const WAITS_MS = [250, 750, 2_000, 4_000];

/** The outcome of one question: what was found, or what was answered instead. */
export type Asked<T> =
  | { found: T }
  /**
   * @property evidence - what was answered, to be compared with the answers to other questions.
   * @property isSure - whether every other way of asking says so, too.
   */
  | { evidence: string; isSure: boolean };

/**
 * Asks until it is found.
 *
 * @param signal - ends the waiting, not an asking.
 * @throws StoreError `missing` when all askings were told the same, for sure; `unavailable`
 *   when they were not: then the client is to come again. What an asking throws passes.
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

/** Whether a call was answered that what it is about is not there. */
export function isMissing(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'missing';
}
