/** Challenges and proofs, with a clock and a store that obey. */
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { type Claim, CHALLENGE_LIFE_MS, createChallenges } from '../../server/uploads/challenges.ts';
import { areCodesOf } from '../../server/uploads/stored-codes.ts';
import { createMemoryDisk } from '../../stores/memory/disk.ts';
import { createFaults } from '../../stores/memory/faults.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { makeBytes, md5, sha256 } from '../harness/bytes.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { type House, openHouse } from './support.ts';

const MIB = 1024 * 1024;
const DAY_MS = 24 * 3_600_000;

describe('challenges', () => {
  const time = { nowMs: 1_000 * DAY_MS };
  const clock = { earliest: () => time.nowMs, latest: () => time.nowMs };
  const challenges = createChallenges('a secret', clock);
  const CLAIM: Claim = { owner: 'bert', md5: md5(Buffer.alloc(0)), size: 100 * MIB, sha256: sha256(Buffer.alloc(0)) };
  let nonces = 0;
  const nonce = (): string => createHash('md5').update(String(nonces++)).digest('hex');

  test('are valid for five minutes, at every process with the secret, and for nothing else', () => {
    time.nowMs = 1_000 * DAY_MS;
    const issued = challenges.issue(CLAIM, nonce());
    expect(challenges.open(CLAIM, issued.token)).toEqual(issued);
    expect(createChallenges('a secret', clock).open(CLAIM, issued.token)).toEqual(issued);
    expect(createChallenges('another', clock).open(CLAIM, issued.token)).toBeUndefined();
    for (const other of [
      { owner: 'carl' },
      { md5: md5(Buffer.from('x')) },
      { size: CLAIM.size - 1 },
      { sha256: sha256(Buffer.from('x')) },
    ]) {
      expect(challenges.open({ ...CLAIM, ...other }, issued.token), JSON.stringify(other)).toBeUndefined();
    }
    // No digit of it can be changed: neither the time nor the nonce.
    for (let at = 0; at < issued.token.length; at++) {
      const digit = issued.token[at] === '0' ? '1' : '0';
      expect(challenges.open(CLAIM, issued.token.slice(0, at) + digit + issued.token.slice(at + 1))).toBeUndefined();
    }
    for (const wrong of ['', `${issued.token}00`, issued.token.toUpperCase(), 'x'.repeat(issued.token.length)]) {
      expect(challenges.open(CLAIM, wrong)).toBeUndefined();
    }
    time.nowMs += CHALLENGE_LIFE_MS - 1;
    expect(challenges.open(CLAIM, issued.token)).toEqual(issued);
    time.nowMs += 1;
    expect(challenges.open(CLAIM, issued.token)).toBeUndefined();
  });

  test('ask an owner for the same bytes all day, so that nobody asks until they fit; others, and tomorrow, for others', () => {
    time.nowMs = 1_000 * DAY_MS;
    const first = challenges.issue(CLAIM, nonce());
    for (let hour = 0; hour < 24; hour++, time.nowMs += 3_600_000) {
      const again = challenges.issue(CLAIM, nonce());
      expect(again.token).not.toBe(first.token);
      expect(again.ranges).toEqual(first.ranges);
    }
    expect(challenges.issue(CLAIM, nonce()).ranges).not.toEqual(first.ranges);
    time.nowMs = 1_000 * DAY_MS;
    // A client can claim any SHA-256: each would be another draw.
    const claimed = challenges.issue({ ...CLAIM, sha256: sha256(Buffer.from('x')) }, nonce());
    expect(claimed.ranges).toEqual(first.ranges);
    expect(challenges.issue({ ...CLAIM, owner: 'carl' }, nonce()).ranges).not.toEqual(first.ranges);
  });

  test.each([
    1,
    2,
    65_535,
    65_536,
    65_537,
    16 * MIB - 1,
    16 * MIB,
    16 * MIB + 1,
    5 * 1024 ** 4,
    Number.MAX_SAFE_INTEGER,
  ])('of %d bytes ask for all, or for 16 MiB from everywhere', (size) => {
    const { ranges } = challenges.issue({ ...CLAIM, size }, nonce());
    let at = 0;
    let bytes = 0;
    for (const { start, end } of ranges) {
      expect(start).toBeGreaterThanOrEqual(at);
      expect(end).toBeGreaterThan(start);
      // Two strata on end have a range in between.
      if (size > 16 * MIB) expect(start - at).toBeLessThan((2 * size) / 256);
      at = end;
      bytes += end - start;
    }
    expect(at).toBeLessThanOrEqual(size);
    expect(bytes).toBe(Math.min(size, 16 * MIB));
  });

  test('who has 90 % in scattered pieces does not get through', () => {
    let passed = 0;
    for (let day = 0; day < 200; day++) {
      time.nowMs = (2_000 + day) * DAY_MS;
      const { ranges } = challenges.issue(CLAIM, nonce());
      // One megabyte of every ten is missing.
      const isMissing = (byte: number): boolean => Math.floor(byte / MIB) % 10 === 3;
      if (!ranges.some(({ start, end }) => isMissing(start) || isMissing(end - 1))) passed++;
    }
    expect(passed).toBe(0);
  });
});

function codeOf(token: string, bytes: Uint8Array): string {
  return createHmac('sha256', token).update(bytes).digest('hex').slice(0, 16);
}

interface Proof extends Claim {
  filename: string;
  token: string;
  codes: string[];
}

/** What `owner` answers to the challenge for a content. @param having - the bytes that they have. */
async function proofOf({ files }: House, owner: string, bytes: Buffer, having = bytes): Promise<Proof> {
  const claim = { owner, md5: md5(bytes), size: bytes.length, sha256: sha256(bytes) };
  const answer = await files.check({ ...claim, isToProve: true });
  const given = answer.status === 'exists' ? undefined : answer.challenge;
  if (!given) throw new Error('no challenge');
  const codes = given.ranges.map(({ start, end }) => codeOf(given.token, having.subarray(start, end)));
  return { ...claim, filename: 'x.bin', token: given.token, codes };
}

async function put({ uploads }: House, owner: string, bytes: Buffer): Promise<void> {
  const nothing = { md5: null, sha1: null, sha256: null, filename: 'a', filetype: null, metadata: '' };
  const request = { owner, declaration: { size: null, ...nothing }, reuseFile: false };
  await uploads.receiveWhole(request, Readable.from([bytes]), new AbortController().signal);
}

describe('proofs', () => {
  test('compare each range, whether it is read alone or with its neighbours, and no other', async () => {
    const house = await openHouse({}, {}, { store: openMemoryStore({ disk: createMemoryDisk() }) });
    const bytes = makeBytes(MIB, 6_500);
    await put(house, 'anna', bytes);
    const [content] = await house.parts.catalog.findContents({ md5: md5(bytes) });
    if (!content) throw new Error('nothing was published');
    // Adjoining, close to each other, far from each other, and of one byte.
    const ranges = [
      [0, 100],
      [100, 70_000],
      [70_001, 70_002],
      [90_000, 200_000],
      [500_000, 500_001],
      [MIB - 1, MIB],
    ].map(([start = 0, end = 0]) => ({ start, end }));
    const token = 'any';
    const codes = ranges.map(({ start, end }) => codeOf(token, bytes.subarray(start, end)));
    const all = ranges.map((_, index) => index);
    const areEqual = (given: string[], indexes: number[]): Promise<boolean> =>
      areCodesOf(house.parts.store, content, { token, ranges, codes: given }, indexes, house.parts.stopping);
    expect(await areEqual(codes, all)).toBe(true);
    for (const wrong of all) {
      const given = codes.map((code, index) => (index === wrong ? codeOf('other', Buffer.from(code)) : code));
      expect(await areEqual(given, all), String(wrong)).toBe(false);
      expect(await areEqual(given, [wrong])).toBe(false);
      expect(
        await areEqual(
          given,
          all.filter((index) => index !== wrong),
        ),
      ).toBe(true);
    }
  });

  test('a store that cannot be reached, or breaks off, tells nothing: it is "notfound", as late as ever', async () => {
    const faults = createFaults();
    const store = openMemoryStore({ disk: createMemoryDisk(), faults });
    const house = await openHouse({}, { instant: 'all' }, { store });
    const bytes = makeBytes(200_000, 6_501);
    await put(house, 'anna', bytes);
    const proof = await proofOf(house, 'bert', bytes);
    for (const error of ['unavailable', 'failed', 'missing', new Error('it broke off')] as const) {
      const order = faults.order({ call: 'readContent', error });
      const beganAt = performance.now();
      expect(await house.files.prove(proof)).toEqual({ status: 'notfound', resume: null });
      expect(performance.now() - beganAt).toBeGreaterThan(490);
      expect(order.hasFired).toBe(true);
    }
    // So does one that does not answer: the proof does not wait for it.
    faults.order({ call: 'readContent', until: new Promise(() => undefined) });
    expect(await house.files.prove(proof)).toEqual({ status: 'notfound', resume: null });
    expect(await house.files.prove(proof)).toMatchObject({ status: 'exists', file: { name: 'x.bin' } });
  });

  test('read no longer than their answers take, and no more at a time with a slow store', async () => {
    const surroundings = createVirtualSurroundings();
    const faults = createFaults();
    const store = openMemoryStore({ disk: createMemoryDisk(), faults, surroundings });
    const house = await openHouse({}, { instant: 'all' }, { surroundings, store });
    const bytes = makeBytes(MIB, 6_504);
    await put(house, 'anna', bytes);
    const proof = await proofOf(house, 'bert', bytes);
    async function statusesAfterRefusal(count: number): Promise<Set<string>> {
      const proofs = Array.from({ length: count }, () => house.files.prove(proof));
      await surroundings.advance(500);
      return new Set((await Promise.all(proofs)).map(({ status }) => status));
    }
    const held = new AbortController();
    const until = once(held.signal, 'abort');
    const reads = Array.from({ length: 32 }, () => faults.order({ call: 'readContent', until }));
    expect(await statusesAfterRefusal(32)).toEqual(new Set(['notfound']));
    expect(reads.every(({ hasFired }) => hasFired)).toBe(true);
    // Their answers are there, and their reads are not: nothing more is read for this owner.
    const more = faults.order({ call: 'readContent' });
    expect(await statusesAfterRefusal(2)).toEqual(new Set(['notfound']));
    expect(more.hasFired).toBe(false);
    more.cancel();
    // The store answers at last: nobody wants the bytes any more. The first step of a read only opens them.
    const steps = faults.order({ call: 'read', nth: 32 + 1 });
    held.abort();
    await surroundings.advance(0);
    await surroundings.advance(0);
    expect(steps.hasFired).toBe(false);
    steps.cancel();
    expect(await house.files.prove(proof)).toMatchObject({ status: 'exists' });
  });

  test('are limited for each owner: then none is asked for, and none is looked at', async () => {
    const surroundings = createVirtualSurroundings();
    const faults = createFaults();
    const store = openMemoryStore({ disk: createMemoryDisk(), faults, surroundings });
    const house = await openHouse({}, { instant: 'all' }, { surroundings, store });
    const [here, nowhere] = [makeBytes(1_000, 6_502), makeBytes(1_000, 6_503)];
    await put(house, 'anna', here);
    const right = await proofOf(house, 'bert', here);
    const [wrong, strange] = [await proofOf(house, 'bert', here, nowhere), await proofOf(house, 'bert', nowhere)];
    for (let batch = 0; batch < 17; batch++) {
      // What is here counts as what is not.
      const proofs = Array.from({ length: 32 }, (_, index) => house.files.prove(index % 2 === 0 ? wrong : strange));
      await surroundings.advance(500);
      for (const answer of await Promise.all(proofs)) expect(answer.status).toBe('notfound');
    }
    const isAsked = async (owner: string): Promise<boolean> => {
      const claim = { owner, md5: md5(nowhere), size: nowhere.length, sha256: sha256(nowhere) };
      return 'challenge' in (await house.files.check({ ...claim, isToProve: true }));
    };
    expect([await isAsked('bert'), await isAsked('carl')]).toEqual([false, true]);
    const unread = faults.order({ call: 'readContent' });
    const refused = house.files.prove(right);
    await surroundings.advance(500);
    expect((await refused).status).toBe('notfound');
    expect(unread.hasFired).toBe(false);
    unread.cancel();
    // Time gives attempts back.
    await surroundings.advance(10_000);
    expect(await isAsked('bert')).toBe(true);
    expect(await house.files.prove(right)).toMatchObject({ status: 'exists' });
  });
});
