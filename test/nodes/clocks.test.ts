/**
 * Two services over one PostgreSQL whose clocks differ by an hour, which is longer than all lives in these tests: only the
 * database's clock counts. The bucket takes signatures of any time, as a node is refused elsewhere whose clock is so wrong.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startDouble } from '../harness/buckets.ts';
import { challengeFor, claimOf, codesOf, proveAtLast, sendProof } from '../harness/possession.ts';
import { hasPostgres } from '../harness/postgres.ts';
import type { RunningService } from '../harness/service.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { cursorNow, eventsIn, listen } from '../http/event-stream.ts';
import { bearer, json, putFile } from '../http/support.ts';
import { answered, idOf, openPatch, until } from '../system/support.ts';
import { at, type Cluster, startCluster } from './support.ts';

const HOUR_MS = 3_600_000;
/** What a request may take. */
const MOMENT_MS = 20_000;
const ANNA = bearer('annas-secret-1');
const BERT = bearer('berts-secret-2');
const SIZE = 200_000;
const HALF = SIZE / 2;
let seed = 5_200;

describe.skipIf(!hasPostgres())('clocks that differ by an hour', () => {
  let cluster: Cluster;
  let right: RunningService;
  let ahead: RunningService;

  beforeAll(async () => {
    cluster = await startCluster(2, {
      clocksAheadMs: [0, HOUR_MS],
      startBucket: () => startDouble({ mostSkewMs: 2 * HOUR_MS }),
      env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', INSTANT: 'all', UPLOAD_TTL: '30m' },
    });
    const [first, second] = cluster.nodes;
    if (!first || !second) throw new Error('no nodes');
    [right, ahead] = [first, second];
  });

  afterAll(() => cluster?.stop());

  test('a challenge of one is good at the other, for five minutes of the database', async () => {
    const bytes = makeBytes(SIZE, seed++);
    await putFile(right.url, bytes, { filename: 'annas.bin' }, ANNA);
    for (const [issuer, judge] of [
      [ahead, right],
      [right, ahead],
    ] as const) {
      const given = await challengeFor(issuer.url, claimOf(bytes), BERT);
      const proof = { ...claimOf(bytes), token: given.token, codes: codesOf(given, bytes) };
      await proveAtLast(() => sendProof(judge.url, proof, BERT));
    }
  });

  /** Both ways: begun at the first, looked at and continued at the second. */
  function pairs(): [RunningService, RunningService][] {
    return [
      [right, ahead],
      [ahead, right],
    ];
  }

  async function offsetAt(node: RunningService, location: string): Promise<number> {
    const answer = await head(at(node, location), ANNA);
    expect(answer.status).toBe(200);
    return Number(answer.headers['upload-offset']);
  }

  test('their logs tell their own clocks, by which nothing else goes', () => {
    const [clock, clockAhead] = [right, ahead].map((node) => {
      const [line = '{}'] = node.output().split('\n').slice(-2);
      return Date.parse((JSON.parse(line) as { time: string }).time);
    });
    expect(Number(clockAhead) - Number(clock)).toBeGreaterThan(HOUR_MS - MOMENT_MS);
  });

  test('a lease is kept while its holder lives, and handed over on request', async () => {
    for (const [one, other] of pairs()) {
      const bytes = makeBytes(SIZE, seed++);
      const location = await createUpload(one.url, SIZE, { md5: md5(bytes) }, ANNA);
      const request = openPatch(location, 0, SIZE, ANNA);
      onTestFinished(() => request.destroy());
      await request.write(bytes.subarray(0, HALF));
      await until('it is committed', async () => (await offsetAt(other, location)) === HALF);
      const holder = (await cluster.catalog.findUpload(idOf(location)))?.holder ?? '';
      expect(await cluster.catalog.isNodeAlive(holder)).toBe(true);
      // Looking from the other has ended nothing.
      await request.write(bytes.subarray(HALF, HALF + 1_000));
      await until('it is committed again', async () => (await offsetAt(other, location)) === HALF + 1_000);
      expect((await cluster.catalog.findUpload(idOf(location)))?.holder).toBe(holder);

      const rest = await patch(at(other, location), HALF + 1_000, bytes.subarray(HALF + 1_000), ANNA);
      expect(rest.status).toBe(204);
      expect(await answered(request)).toMatchObject({ status: 423, code: 'upload_taken_over' });
      expect(await offsetAt(one, location)).toBe(SIZE);
    }
  });

  test('an upload lives as long as the database says, also through the jobs of the node that is ahead', async () => {
    const begun: string[] = [];
    for (const [one, other] of pairs()) {
      const location = await createUpload(one.url, SIZE, {}, ANNA);
      const told = await Promise.all([one, other].map((node) => head(at(node, location), ANNA)));
      const [expires = 0, elsewhere] = told.map(({ headers }) => Date.parse(String(headers['upload-expires'])));
      expect(elsewhere).toBe(expires);
      expect(Math.abs(expires - Date.now() - HOUR_MS / 2)).toBeLessThan(MOMENT_MS);
      begun.push(location);
    }
    // Its jobs run at the start.
    await ahead.restart();
    for (const location of begun) {
      for (const node of cluster.nodes) expect(await offsetAt(node, location)).toBe(0);
      expect((await patch(at(ahead, location), 0, 'abc', ANNA)).status).toBe(204);
      await cluster.database.run(
        `update uploads set expires_at = expires_at - ${HOUR_MS} where id = '${idOf(location)}'`,
      );
      for (const node of cluster.nodes) expect((await head(at(node, location), ANNA)).status).toBe(410);
    }
  });

  test('files are listed in the order in which they came, with the times of the database', async () => {
    const names = ['1', '2', '3', '4'];
    for (const [index, filename] of names.entries()) {
      await putFile((index % 2 === 0 ? right : ahead).url, makeBytes(100, seed++), { filename }, ANNA);
    }
    for (const node of cluster.nodes) {
      const answer = await send('GET', `${node.url}/api/files`, { headers: ANNA });
      const { files } = json<{ files: { name: string; uploadedAt: string }[] }>(answer);
      expect(files.slice(0, 4).map(({ name }) => name)).toEqual(names.toReversed());
      for (const { uploadedAt } of files)
        expect(Math.abs(Date.parse(uploadedAt) - Date.now())).toBeLessThan(4 * MOMENT_MS);
    }
  });

  test('events are told to those who listen at either, and to those who come later, in one order', async () => {
    for (const [one, other] of pairs()) {
      const stream = await listen(other, { ...ANNA, 'Last-Event-ID': await cursorNow(one, ANNA) });
      const names: string[] = [];
      for (const node of [one, other, one]) {
        const filename = `told ${seed}`;
        names.push(filename);
        await putFile(node.url, makeBytes(100, seed++), { filename }, ANNA);
      }
      await until('all are told', () => eventsIn(stream.text()).length === 3);
      expect(eventsIn(stream.text()).map(({ data }) => data.name)).toEqual(names);
      const [first] = eventsIn(stream.text());
      const later = await listen(one, { ...ANNA, 'Last-Event-ID': first?.id ?? '' });
      await until('the others are told', () => eventsIn(later.text()).length === 2);
      expect(eventsIn(later.text()).map(({ data }) => data.name)).toEqual(names.slice(1));
    }
  });

  test('a ticket for an hour that one gives opens files at the other', async () => {
    for (const [one, other] of pairs()) {
      const { url } = await putFile(one.url, 'for anna', { filename: 'anna.txt' }, ANNA);
      const ticket = await send('POST', `${one.url}/api/ticket`, { headers: ANNA });
      const [Cookie = ''] = (ticket.headers['set-cookie']?.[0] ?? '').split(';', 1);
      expect(await send('GET', at(other, url), { headers: { Cookie } })).toMatchObject({
        status: 200,
        body: 'for anna',
      });
    }
  });
});
