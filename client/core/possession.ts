/** Instant upload among strangers: how a client proves to have a file, so that it need not send what others have sent. */
import type { ChallengeJson, CheckJson, ProofJson } from '../../server/wire/check.ts';
import type { Range } from './ranges.ts';

/** A smaller file is sent sooner than it is proved: the service takes half a second to refuse a proof. */
const WORTH_PROVING_BYTES = 2 * 1024 * 1024;

/** More is no challenge of a service that means well: it would have a client read for nothing. */
const MOST_RANGES = 1_024;
const MOST_BYTES = 64 * 1024 * 1024;

/** Whether a client that wants to send a file asks to prove it first. */
export function isWorthProving(size: number): boolean {
  return size >= WORTH_PROVING_BYTES;
}

/** What the codes of a proof are computed of. */
export interface Challenged {
  /** The key of the codes. */
  token: string;
  ranges: Range[];
}

/** How a client reads its file, and sends the proof. */
export interface Proving {
  /**
   * Computes the code of each range, see `ProofJson`.
   *
   * @returns null where the file cannot be read now.
   */
  codesOf(challenged: Challenged): Promise<string[] | null>;
  send(proof: ProofJson): Promise<CheckJson>;
  /** Whether the service would answer the same to another attempt. */
  isFinal(error: unknown): boolean;
}

/**
 * Proves to have a file, where the answer to a check has a challenge.
 *
 * @param claim - what the check asked for.
 * @returns the answer to the proof where the service has the content; else the answer to the check.
 */
export async function provePossession(
  answer: CheckJson,
  claim: Omit<ProofJson, 'token' | 'codes'>,
  proving: Proving,
): Promise<CheckJson> {
  const challenged = answer.status === 'exists' ? null : readChallenge(answer.challenge, claim.size);
  if (challenged === null) return answer;
  const codes = await proving.codesOf(challenged);
  if (codes === null) return answer;
  try {
    const proved = await proving.send({ ...claim, token: challenged.token, codes });
    return proved.status === 'exists' ? proved : answer;
  } catch (error) {
    // Refused, as it came too late for example: the file is sent.
    if (proving.isFinal(error)) return answer;
    throw error;
  }
}

/** The challenge of an answer; null where there is none for a file of this size. */
function readChallenge(challenge: ChallengeJson | undefined, size: number): Challenged | null {
  if (typeof challenge?.token !== 'string' || !Array.isArray(challenge.ranges)) return null;
  if (challenge.ranges.length > MOST_RANGES) return null;
  const ranges: Range[] = [];
  let bytes = 0;
  for (const pair of challenge.ranges as unknown[]) {
    const [start, end] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (!isPosition(start) || !isPosition(end) || start >= end || end > size) return null;
    bytes += end - start;
    ranges.push({ start, end });
  }
  return ranges.length > 0 && bytes <= MOST_BYTES ? { token: challenge.token, ranges } : null;
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
