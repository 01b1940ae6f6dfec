/**
 * INSTANT=all: an owner who proves to have the bytes of a content gets a file of it, though another owner sent it. Knowing about
 * the content, its digests, its size or most of its bytes, helps nobody.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { COLLIDING } from '../harness/collision.ts';
import { askToProve, challengeFor, claimOf, codesOf, proveAtLast, sendProof } from '../harness/possession.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { type Answer, send } from '../harness/tus.ts';
import { bearer, json, putFile } from './support.ts';

const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
const CARL = bearer('carls-secret-3');
const SETTINGS = {
  AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2, carl:carls-secret-3',
  INSTANT: 'all',
};
const MIB = 1024 * 1024;
/** More than is shown of a file at most. */
const LARGE = 20 * MIB;
const large = makeBytes(LARGE, 6_401);
const ofLarge = claimOf(large);

type Headers = Record<string, string>;

/** Asks by the digests of a content, and answers with the bytes that the asker has. */
async function attempt(
  { url }: RunningService,
  of: Uint8Array,
  { who, having = of, filename = 'berts.bin' }: { who: Headers; having?: Uint8Array; filename?: string },
): Promise<Answer> {
  const claim = of === large ? ofLarge : claimOf(of);
  const given = await challengeFor(url, claim, who);
  return sendProof(url, { ...claim, filename, token: given.token, codes: codesOf(given, having) }, who);
}

async function namesOf({ url }: RunningService, who: Headers): Promise<string[]> {
  const listed = json<{ files: { name: string }[] }>(await send('GET', `${url}/api/files`, { headers: who }));
  return listed.files.map(({ name }) => name);
}

async function bytesAt(url: string, who: Headers): Promise<string> {
  return sha256(new Uint8Array(await (await fetch(url, { headers: who })).arrayBuffer()));
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService(SETTINGS);
    await putFile(service.url, large, { filename: 'annas.bin' }, ANNA);
  });
  afterAll(() => service.stop());

  test('who has the bytes gets a file, and sends none of them', async () => {
    const { url } = service;
    expect(await askToProve(url, ofLarge, ANNA)).toMatchObject({ status: 'exists' });
    const before = await service.contents();
    const given = await challengeFor(url, ofLarge, CARL);
    const proof = { ...ofLarge, token: given.token, codes: codesOf(given, large) };
    // Without a name it tells that the bytes need not be sent, and adds nothing.
    const told = await proveAtLast(() => sendProof(url, proof, CARL));
    expect(told).toEqual({ status: 'exists', url: `${url}/files/${ofLarge.md5}` });
    expect(await namesOf(service, CARL)).toEqual([]);
    expect(await askToProve(url, ofLarge, CARL)).toMatchObject({ status: 'notfound' });

    const byName = { ...proof, filename: 'a/carls.bin' };
    const named = await proveAtLast<{ file: { url: string } }>(() => sendProof(url, byName, CARL));
    expect(named.file).toMatchObject({ name: 'a/carls.bin', ...ofLarge });
    expect(await bytesAt(named.file.url, CARL)).toBe(ofLarge.sha256);
    expect(await service.contents()).toEqual(before);
    expect(await askToProve(url, ofLarge, CARL)).toMatchObject({ status: 'exists' });
    // Twice: the same file.
    await proveAtLast(() => sendProof(url, byName, CARL));
    expect(await namesOf(service, CARL)).toEqual(['a/carls.bin']);
  });

  test('bytes that are not those, gone or rotten, are "notfound", and the log tells', async () => {
    const almost = Buffer.from(large).fill(0, LARGE / 2);
    expect(json(await attempt(service, large, { who: BERT, having: almost }))).toEqual({ status: 'notfound' });
    for (const [index, spoil] of (['lose', 'change'] as const).entries()) {
      const bytes = makeBytes(MIB, 6_411 + index);
      const { upload } = await putFile(service.url, bytes, { filename: 'annas.bin' }, ANNA);
      const name = await service.contentName(upload, `${md5(bytes)}.bin`);
      if (spoil === 'lose') await service.loseContent(name);
      else {
        await service.changeContent(name, (stored) => {
          stored[MIB / 2] = (stored[MIB / 2] ?? 0) ^ 1;
          return stored;
        });
      }
      const logged = service.output().length;
      expect(json(await attempt(service, bytes, { who: BERT }))).toEqual({ status: 'notfound' });
      const log = service.output().slice(logged);
      expect(log).toContain(spoil === 'lose' ? 'bytes of a content are gone' : 'or it is damaged');
      // Sending heals it.
      await putFile(service.url, bytes, { filename: 'healed.bin' }, BERT);
      expect(await bytesAt(`${service.url}/files/${md5(bytes)}`, BERT)).toBe(sha256(bytes));
    }
  });
});

describe('over a folder', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({ env: SETTINGS });
    await putFile(service.url, large, { filename: 'annas.bin' }, ANNA);
  });
  afterAll(() => service.stop());

  test('digests, a size and most of the bytes are not enough', async () => {
    const without = (from: number, to: number): Buffer =>
      Buffer.from(large).fill(0, Math.floor(from * LARGE), Math.floor(to * LARGE));
    const known = {
      nothing: Buffer.alloc(LARGE),
      '90 %': without(0.4, 0.5),
      // Whatever ranges are drawn: more than two strata are missing, each of which has one.
      '99 %, from the middle': without(0.495, 0.505),
      '99 %, from the end': without(0.99, 1),
    };
    for (const [what, having] of Object.entries(known)) {
      const answer = await attempt(service, large, { who: BERT, having });
      expect([answer.status, json(answer)], what).toEqual([200, { status: 'notfound' }]);
    }
    expect(service.output()).toContain('an owner asked for a content without having its bytes');
    // One wrong bit in one of the ranges: it is found although the first look passes it by as a rule.
    const given = await challengeFor(service.url, ofLarge, BERT);
    const last = (given.ranges.at(-1)?.[1] ?? 0) - 1;
    const flipped = Buffer.from(large).fill((large[last] ?? 0) ^ 1, last, last + 1);
    const proof = { ...ofLarge, filename: 'x.bin', token: given.token, codes: codesOf(given, flipped) };
    expect(json(await sendProof(service.url, proof, BERT))).toEqual({ status: 'notfound' });
    expect(await namesOf(service, BERT)).toEqual([]);
    expect((await send('GET', `${service.url}/files/${ofLarge.md5}`, { headers: BERT })).status).toBe(404);
  });

  test('the challenge for what is here is that for what is nowhere, and does not depend on the true size', async () => {
    const { url } = service;
    /** What somebody learns who claims this and has other bytes. */
    async function learnt(claim: object, having: Uint8Array): Promise<unknown> {
      const answer = await askToProve(url, claim, BERT);
      if (answer.status === 'exists' || !answer.challenge) throw new Error('no challenge');
      const { challenge, ...rest } = answer;
      const lengths = challenge.ranges.map(([start, end]) => end - start);
      const proof = { ...claim, token: challenge.token, codes: codesOf(challenge, having) };
      const { status, body } = await sendProof(url, proof, BERT);
      return { ...rest, ...challenge, token: challenge.token.length, ranges: lengths, refused: [status, body] };
    }
    async function compare(size: number): Promise<void> {
      const [here, nowhere] = [makeBytes(size, 6_420), makeBytes(size, 6_421)];
      const longer = Buffer.concat([nowhere, Buffer.from('x')]);
      await putFile(url, here, { filename: 'annas.bin' }, ANNA);
      const [ofHere, ofNowhere, ofOtherSize, ofLonger] = await Promise.all([
        learnt(claimOf(here), nowhere),
        learnt(claimOf(nowhere), here),
        learnt({ ...claimOf(here), size: size + 1 }, longer),
        learnt(claimOf(longer), here),
      ]);
      expect(ofHere).toEqual(ofNowhere);
      expect(ofHere).toMatchObject({ refused: [200, '{"status":"notfound"}'] });
      expect(ofOtherSize).toEqual(ofLonger);
    }
    await Promise.all([1, 65_537, 3 * MIB, 17 * MIB].map(compare));
  });

  test('a refused proof is answered after half a second, for a content that is here as for one that is not', async () => {
    const bytes = makeBytes(MIB, 6_430);
    await putFile(service.url, bytes, { filename: 'annas.bin' }, ANNA);
    for (const of of [bytes, makeBytes(MIB, 6_431)]) {
      const given = await challengeFor(service.url, claimOf(of), BERT);
      const proof = { ...claimOf(of), token: given.token, codes: codesOf(given, Buffer.alloc(MIB)) };
      const beganAt = performance.now();
      expect(json(await sendProof(service.url, proof, BERT))).toEqual({ status: 'notfound' });
      expect(performance.now() - beganAt).toBeGreaterThan(490);
    }
  });

  test('a recorded proof is of no use to another owner, nor for another content', async () => {
    const [bytes, other] = [makeBytes(MIB, 6_440), makeBytes(MIB, 6_441)];
    for (const each of [bytes, other]) await putFile(service.url, each, { filename: 'annas.bin' }, ANNA);
    const given = await challengeFor(service.url, claimOf(bytes), BERT);
    const proof = { ...claimOf(bytes), filename: 'x.bin', token: given.token, codes: codesOf(given, bytes) };
    const forged = given.token.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    for (const [replayed, who] of [
      [proof, CARL],
      [{ ...proof, ...claimOf(other) }, BERT],
      [{ ...proof, md5: md5(other) }, BERT],
      [{ ...proof, sha256: sha256(other) }, BERT],
      [{ ...proof, size: bytes.length - 1 }, BERT],
      [{ ...proof, token: forged }, BERT],
    ] as const) {
      const answer = await sendProof(service.url, replayed, who);
      expect([answer.status, answer.code]).toEqual([400, 'invalid_field']);
      expect(answer.body).toContain('"field":"token"');
    }
    // His codes with a challenge of hers: the key is another.
    const carls = await challengeFor(service.url, claimOf(bytes), CARL);
    expect(carls.ranges).toEqual(given.ranges);
    expect(json(await sendProof(service.url, { ...proof, token: carls.token }, CARL))).toEqual({ status: 'notfound' });
    expect(await namesOf(service, CARL)).toEqual([]);
    // What counts is the secret of the catalog, which outlives the process.
    await service.restart();
    const answer = await proveAtLast(() => sendProof(service.url, proof, BERT));
    expect(answer).toMatchObject({ file: { name: 'x.bin' } });
  });

  test('of contents with one MD5, the one whose bytes were proved', async () => {
    const suffix = makeBytes(LARGE, 6_450);
    const [first, second] = COLLIDING.map((block) => Buffer.concat([block, suffix])) as [Buffer, Buffer];
    await putFile(service.url, first, { filename: 'first.bin' }, ANNA);
    // Where the ranges miss the bytes in which they differ, the SHA-256 tells them apart.
    expect(json(await attempt(service, second, { who: BERT }))).toEqual({ status: 'notfound' });
    const lie = { ...claimOf(second) };
    const given = await challengeFor(service.url, lie, BERT);
    const proof = { ...lie, filename: 'lie.bin', token: given.token, codes: codesOf(given, first) };
    expect(json(await sendProof(service.url, proof, BERT))).toEqual({ status: 'notfound' });
    await putFile(service.url, second, { filename: 'second.bin' }, ANNA);
    for (const bytes of [first, second]) {
      const filename = `${sha256(bytes).slice(0, 8)}.bin`;
      const answer = await proveAtLast<{ file: { url: string } }>(() =>
        attempt(service, bytes, { who: BERT, filename }),
      );
      expect(await bytesAt(answer.file.url, BERT)).toBe(sha256(bytes));
    }
  });

  test('one byte is proved by one byte, and an empty file by being sent', async () => {
    const one = Buffer.from('q');
    await putFile(service.url, one, { filename: 'annas.bin' }, ANNA);
    await putFile(service.url, '', { filename: 'empty.bin' }, ANNA);
    expect((await challengeFor(service.url, claimOf(one), BERT)).ranges).toEqual([[0, 1]]);
    await proveAtLast(() => attempt(service, one, { who: BERT }));
    expect(await askToProve(service.url, claimOf(Buffer.alloc(0)), BERT)).toEqual({ status: 'notfound' });
  });

  test('bad proofs are refused by the name of what is wrong', async () => {
    const bytes = makeBytes(200_000, 6_460);
    const given = await challengeFor(service.url, claimOf(bytes), BERT);
    const proof = { ...claimOf(bytes), token: given.token, codes: codesOf(given, bytes) };
    for (const [field, value] of [
      ['md5', undefined],
      ['md5', 'abc'],
      ['size', '200000'],
      ['size', -1],
      ['size', 1.5],
      ['sha256', null],
      ['filename', 7],
      ['token', undefined],
      ['token', 'abc'],
      ['codes', undefined],
      ['codes', 'abc'],
      ['codes', []],
      ['codes', ['zz', 'zz', 'zz', 'zz']],
      ['codes', [...proof.codes, '0123456789abcdef']],
    ] as const) {
      const answer = await sendProof(service.url, { ...proof, [field]: value }, BERT);
      expect([answer.status, answer.code], `${field}: ${String(value)}`).toEqual([400, 'invalid_field']);
      expect(answer.body).toContain(`"field":"${field}"`);
    }
    for (const field of ['size', 'sha256']) {
      const { [field]: _, ...rest } = { ...claimOf(bytes) } as Record<string, unknown>;
      const answer = await askToProve(service.url, rest, BERT);
      expect(answer).toMatchObject({ status: 'error', error: { code: 'invalid_field', field } });
    }
  });

  test('INSTANT=owner and off ask for no proofs, and take none', async () => {
    const bytes = makeBytes(200_000, 6_470);
    await putFile(service.url, bytes, { filename: 'annas.bin' }, ANNA);
    const given = await challengeFor(service.url, claimOf(bytes), BERT);
    const proof = { ...claimOf(bytes), token: given.token, codes: codesOf(given, bytes) };
    for (const INSTANT of ['owner', 'off']) {
      await service.restart({ INSTANT });
      expect(await askToProve(service.url, claimOf(bytes), BERT)).toEqual({ status: 'notfound' });
      expect(json(await sendProof(service.url, proof, BERT))).toEqual({ status: 'notfound' });
    }
    // Without tokens nobody is a stranger.
    await service.restart({ INSTANT: 'all', AUTH_TOKENS: undefined });
    expect(await askToProve(service.url, claimOf(bytes), {})).toEqual({ status: 'notfound' });
  });
});
