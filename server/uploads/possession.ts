/**
 * Instant upload among strangers: an owner who proves to have the bytes of a content gets a file of it, whoever sent it. Until then
 * nothing tells whether it is here. See docs/decisions/0064.
 */
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord } from '../catalog/catalog.ts';
import { createAttempts } from './attempts.ts';
import { type Challenge, type Challenges, type Claim, createChallenges } from './challenges.ts';
import type { Checked } from './check.ts';
import type { ProofQuery } from './contract.ts';
import { invalidField } from './errors.ts';
import { giveFile } from './give-file.ts';
import { checkName } from './names.ts';
import type { Parts } from './parts.ts';
import { linkSignals } from './signals.ts';
import { reportLost } from './stored-bytes.ts';
import { type Answered, areCodesOf } from './stored-codes.ts';
import type { Sha256Of } from './stored-sha256.ts';

/** So many ranges, drawn anew for each attempt, are compared first: who has none of the bytes costs no more reading than these. */
const SAMPLE = 16;
/** An attempt that fails after the sample has cost as much reading as this many. */
const LATE_COST = 16;
/**
 * An attempt whose sample differs, or cannot be read within this time, is refused after this time: then it takes as long as one for
 * a content that is not here.
 */
const REFUSED_AFTER_MS = 500;
/** Contents of one MD5 and size that an attempt is compared with: as many as there are is up to who makes them. */
const MOST_COMPARED = 4;
/** Of a nonce: enough that none comes twice. */
const NONCE_BYTES = 16;

const NOT_FOUND: Checked = { status: 'notfound', resume: null };

export interface Possession {
  /** What the claim can be proved by; undefined where proofs are not asked for. */
  challengeFor(claim: Claim): Challenge | undefined;
  /**
   * Compares a proof with the contents that the claim may mean.
   *
   * @param onCompared - called for the content whose SHA-256 was found equal.
   * @throws `invalid_field` for a challenge that was not issued for this claim, or codes that are not those of its ranges.
   */
  prove(query: ProofQuery, onCompared: (content: ContentRecord) => void): Promise<Checked>;
}

/** Prepares challenges and proofs. */
export function createPossession(parts: Parts, sha256Of: Sha256Of): Possession {
  const { catalog, limits, surroundings } = parts;
  const challenges = createChallenges(parts.secret, catalog.clock);
  const attempts = createAttempts(() => surroundings.elapsedMs());
  const isOn = limits.instant === 'all';

  function challengeFor(claim: Claim): Challenge | undefined {
    // No bytes prove nothing; they are sent at once.
    if (!isOn || claim.size === 0 || !attempts.areLeft(claim.owner)) return undefined;
    return challenges.issue(claim, surroundings.randomHex(NONCE_BYTES));
  }

  async function prove(query: ProofQuery, onCompared: (content: ContentRecord) => void): Promise<Checked> {
    if (query.filename !== undefined) checkName(query.filename, 'filename');
    const answered = answeredBy(challenges, query);
    const attempt = isOn ? attempts.begin(query.owner) : undefined;
    const refusal = surroundings.wait(REFUSED_AFTER_MS);
    let cost = 1;
    let looked: Looked = { likely: [], settled: Promise.resolve() };
    try {
      if (attempt) looked = await findLikely(parts, query, answered, refusal);
      const { likely } = looked;
      if (likely.length === 0) {
        await refusal;
        return NOT_FOUND;
      }
      cost = LATE_COST;
      const content = await findProved(parts, query, answered, likely, sha256Of);
      if (!content) return NOT_FOUND;
      cost = 0;
      onCompared(content);
      const file = await giveFile(parts, content, query);
      return file === undefined ? NOT_FOUND : { status: 'exists', content, file };
    } finally {
      attempt?.count(cost);
      // The answer does not wait for reads that the store has not ended yet, but other attempts do.
      void looked.settled.then(() => attempt?.end());
    }
  }

  return { challengeFor, prove };
}

/** The challenge that a proof answers, with its codes. @throws `invalid_field`. */
function answeredBy(challenges: Challenges, query: ProofQuery): Answered {
  const challenge = challenges.open(query, query.token);
  if (!challenge) {
    throw invalidField(
      'token',
      'token must be that of a challenge that you were given in the last 5 minutes, for the same md5, size and sha256.',
    );
  }
  const { length } = challenge.ranges;
  if (query.codes.length !== length) {
    throw invalidField('codes', `codes must have one code for each range of the challenge: ${length}.`);
  }
  return { ...challenge, codes: query.codes };
}

interface Looked {
  likely: readonly ContentRecord[];
  /** Resolves when nothing is read any more. */
  settled: Promise<void>;
}

/** The contents whose bytes are those of the codes in a sample of the ranges; none once `refusal` resolves, which ends the reads. */
async function findLikely(parts: Parts, claim: Claim, answered: Answered, refusal: Promise<void>): Promise<Looked> {
  const { md5, size, sha256 } = claim;
  const candidates = (await parts.catalog.findContents({ md5 }))
    .filter((content) => content.size === size && (content.sha256 ?? sha256) === sha256)
    .slice(0, MOST_COMPARED);
  const indexes = drawSample(answered.ranges.length, parts.surroundings.randomHex(SAMPLE * 4));
  const late = new AbortController();
  const reading = linkSignals(parts.stopping, late.signal);
  const shown = { ...answered, indexes, signal: reading.signal };
  const compared = Promise.all(candidates.map((content) => isEqual(parts, claim, content, shown)));
  const outcomes = await Promise.race([compared, refusal.then(() => null)]);
  if (!outcomes) late.abort(new Error('the proof has been refused'));
  return {
    likely: candidates.filter((_, index) => outcomes?.[index]),
    settled: compared.then(reading.unlink),
  };
}

/** The content that has all bytes of the ranges, and the claimed SHA-256: with it, no other content can be meant. */
async function findProved(
  parts: Parts,
  claim: Claim,
  answered: Answered,
  likely: readonly ContentRecord[],
  sha256Of: Sha256Of,
): Promise<ContentRecord | undefined> {
  const signal = parts.stopping;
  const shown = { ...answered, indexes: answered.ranges.map((_, index) => index), signal };
  for (const content of likely) {
    if (!(await isEqual(parts, claim, content, shown))) continue;
    const found = await sha256Of(content).catch((error: unknown) => reportUnread(parts, content, error, signal));
    if (found === claim.sha256) return content;
  }
  return undefined;
}

/** Which ranges of a proof are compared, and what ends the reads. */
type Shown = Answered & { readonly indexes: readonly number[]; readonly signal: AbortSignal };

/** Bytes that cannot be read are not equal: an error would tell that there is such a content. Never rejects. */
async function isEqual(
  parts: Parts,
  { owner }: Claim,
  content: ContentRecord,
  { indexes, signal, ...answered }: Shown,
): Promise<boolean> {
  try {
    if (await areCodesOf(parts.store, content, answered, indexes, signal)) return true;
    const about = { owner, contentId: content.id, md5: content.md5 };
    parts.log.warn(about, 'an owner asked for a content without having its bytes, or it is damaged');
  } catch (error) {
    await reportUnread(parts, content, error, signal);
  }
  return false;
}

async function reportUnread(
  parts: Parts,
  content: ContentRecord,
  error: unknown,
  signal: AbortSignal,
): Promise<undefined> {
  const about = { contentId: content.id, err: error };
  if (error instanceof StoreError && error.code === 'missing') {
    await reportLost(parts, content, { err: error }).catch(() => undefined);
  } else if (parts.stopping.aborted) {
    return;
  } else if (signal.aborted) {
    parts.log.warn(about, 'bytes of a content were not read in time to compare them with a proof');
  } else {
    parts.log.error(about, 'bytes of a content could not be read to compare them with a proof');
  }
}

/** Draws some of `count` ranges. @param random - hexadecimal digits, eight for each. */
function drawSample(count: number, random: string): number[] {
  const indexes = Array.from({ length: count }, (_, index) => index);
  const drawn = Math.min(count, SAMPLE);
  for (let at = 0; at < drawn; at++) {
    const other = at + (parseInt(random.slice(at * 8, at * 8 + 8), 16) % (count - at));
    [indexes[at], indexes[other]] = [indexes[other] ?? 0, indexes[at] ?? 0];
  }
  return indexes.slice(0, drawn).sort((a, b) => a - b);
}
