/** The stores in a bucket wait by the timers, and choose by the chance, that they are given. */
import { PART } from '../harness/part.ts';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { askOverTime } from '../../stores/s3/ask.ts';
import { createBufferPool } from '../../stores/s3/buffers.ts';
import { callWithRetries } from '../../stores/s3/retry.ts';
import type { Commit } from '../../stores/store.ts';
import { openStore } from '../../stores/stores.ts';
import { orderedId } from '../../stores/surroundings.ts';
import { makeBytes } from '../harness/bytes.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { startOss } from '../harness/oss/oss.ts';
import { createVirtualSurroundings, type VirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { createTestLedger } from './contract.ts';

// This process reaches the double of OSS by its name.
await import(RESOLVE_HERE);

/** When something was tried, on the clock that was handed in; lets that pass until it has ended. */
async function times(
  surroundings: VirtualSurroundings,
  begin: (tried: () => void) => Promise<unknown>,
): Promise<number[]> {
  const at: number[] = [];
  let isOver = false;
  const ended = begin(() => at.push(Math.round(surroundings.elapsedMs())))
    .catch(() => undefined)
    .then(() => (isOver = true));
  for (let i = 0; i < 10_000 && !isOver; i++) await surroundings.advance(10);
  await ended;
  return at;
}

test('calls are repeated at the same moments for the same seed', async () => {
  const retry = (seed: number): Promise<number[]> => {
    const surroundings = createVirtualSurroundings(seed);
    return times(surroundings, (tried) =>
      callWithRetries(
        async () => {
          tried();
          throw Object.assign(new Error('line cut'), { code: 'ECONNRESET' });
        },
        { surroundings },
      ),
    );
  };
  const [first, again, other] = [await retry(1), await retry(1), await retry(2)];
  expect(first).toHaveLength(6);
  expect(first.at(-1)).toBeGreaterThan(1_000);
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
});

test('a call that gets no answer is ended when its time is up', async () => {
  const surroundings = createVirtualSurroundings();
  const calling = callWithRetries((signal) => new Promise((_, reject) => signal.addEventListener('abort', reject)), {
    attempts: 1,
    timeoutMs: 3_600_000,
    surroundings,
  }).catch((error: unknown) => error);
  await surroundings.advance(3_600_000);
  expect(await calling).toMatchObject({ code: 'ETIMEDOUT' });
});

test('what is not found is asked for repeatedly over some time', async () => {
  const surroundings = createVirtualSurroundings();
  const at = await times(surroundings, (tried) =>
    askOverTime(surroundings, 'looking', async () => {
      tried();
      return { evidence: 'nothing', isSure: true };
    }),
  );
  expect(at).toEqual([0, 250, 1_000, 3_000, 7_000]);
});

test('memory for parts is asked for, and looked for again', async () => {
  const surroundings = createVirtualSurroundings();
  const pool = createBufferPool(1000, surroundings);
  const signal = new AbortController().signal;
  const held = await pool.reserve(1000, false, signal);
  const waiting = pool.reserve(1000, false, signal);
  expect(surroundings.pending()).toBe(1);
  expect(held.asked.aborted).toBe(false);
  await surroundings.advance(60_000);
  expect(held.asked.aborted).toBe(true);
  held.release();
  (await waiting).release();
});

test('a bucket has names that the same seed gives again', async () => {
  const oss = await startOss();
  onTestFinished(() => oss.stop());
  const digests = createDigestPool(['md5']);
  onTestFinished(() => digests.close());
  const id = randomUUID();
  const choice = {
    kind: 'oss',
    endpoint: oss.endpoint,
    region: oss.region,
    bucket: oss.bucket,
    prefix: '',
    accessKeyId: oss.accessKeyId,
    secretAccessKey: oss.secretAccessKey,
    bufferBytes: 64 * 1024 * 1024,
    partBytes: PART,
    pathStyle: null,
    endpointIsBucket: false,
  } as const;
  const states = [];
  for (const seed of [1, 1, 2]) {
    const surroundings = createVirtualSurroundings(seed);
    const settings = { dataDir: '', ledger: createTestLedger(), surroundings };
    const store = await openStore(choice, settings);
    const upload = {
      id,
      size: 9000,
      offset: 0,
      snapshot: null,
      storeState: null,
      filename: null,
      filetype: null,
    };
    const commits: Commit[] = [];
    await store.writeUpload(Readable.from([makeBytes(1000)]), upload, {
      digests,
      signal: new AbortController().signal,
      maxBytes: 9000,
      commit: async (commit) => void commits.push(commit),
    });
    states.push(/tails\/[^"]*/.exec(commits.at(-1)?.storeState ?? '')?.[0]);
    await store.close();
  }
  expect(states[0]).toBeDefined();
  expect(states[1]).toBe(states[0]);
  expect(states[2]).not.toBe(states[0]);
});

test('ids that begin with the time are UUIDs, in the order of their times, and all different', () => {
  const moments = [0, 1, 1_700_000_000_000, 1_700_000_000_001, 2 ** 48 - 1];
  const ids = moments.flatMap((time) => [orderedId(time), orderedId(time)]);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.map((id) => parseInt(id.replaceAll('-', '').slice(0, 12), 16))).toEqual(
    moments.flatMap((time) => [time, time]),
  );
  const ordered = moments.map(orderedId);
  expect(ordered.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ordered);
});
