/** Proves to have bytes, as docs/http-api.md says: a client of the tests' own. */
import { createHmac } from 'node:crypto';
import type { ChallengeJson, CheckJson } from '../../server/wire/check.ts';
import { md5, sha256 } from './bytes.ts';
import { type Answer, send } from './tus.ts';

type Headers = Record<string, string>;

export interface ClaimJson {
  md5: string;
  size: number;
  sha256: string;
}

const claims = new WeakMap<Uint8Array, ClaimJson>();

/** What is claimed of bytes, which do not change any more. */
export function claimOf(bytes: Uint8Array): ClaimJson {
  const claim = claims.get(bytes) ?? { md5: md5(bytes), size: bytes.length, sha256: sha256(bytes) };
  claims.set(bytes, claim);
  return claim;
}

/** `GET /check` with `prove`. */
export async function askToProve(base: string, claim: object, who: Headers): Promise<CheckJson> {
  const query = new URLSearchParams({ ...claim, prove: '' } as Record<string, string>);
  return JSON.parse((await send('GET', `${base}/check?${query.toString()}`, { headers: who })).body) as CheckJson;
}

/** The challenge for a claim. @throws where there is none. */
export async function challengeFor(base: string, claim: object, who: Headers): Promise<ChallengeJson> {
  const answer = await askToProve(base, claim, who);
  if (answer.status === 'exists' || !answer.challenge) throw new Error(`no challenge: ${JSON.stringify(answer)}`);
  return answer.challenge;
}

/** The codes of a challenge, of these bytes. */
export function codesOf({ token, ranges }: Pick<ChallengeJson, 'token' | 'ranges'>, bytes: Uint8Array): string[] {
  const code = (start: number, end: number): string =>
    createHmac('sha256', token).update(bytes.subarray(start, end)).digest('hex').slice(0, 16);
  return ranges.map(([start, end]) => code(start, end));
}

/** `POST /check`. */
export function sendProof(base: string, proof: object, who: Headers): Promise<Answer> {
  const headers = { ...who, 'Content-Type': 'application/json' };
  return send('POST', `${base}/check`, { headers, body: JSON.stringify(proof) });
}

/** Proves until it is accepted: a busy machine may read too late, and then refuses a right proof. */
export async function proveAtLast<T>(attempt: () => Promise<Answer>): Promise<T & { status: string }> {
  for (let left = 10; ; left--) {
    const answer = await attempt();
    const body = JSON.parse(answer.body) as T & { status: string };
    if (body.status === 'exists') return body;
    if (body.status !== 'notfound' || left === 0) throw new Error(`it was not accepted: ${answer.body}`);
  }
}
