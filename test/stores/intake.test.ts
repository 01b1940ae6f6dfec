/** Many intakes at once: the event loop has its turns, and each source its share. */
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openIntake } from '../../stores/intake.ts';
import { SYSTEM } from '../../stores/surroundings.ts';

const SOURCES = 64;
const CHUNK = Buffer.alloc(64 * 1024);
const CHUNKS = 50;

test('of 64 sources that always have more, a few are read in each turn, and all come equally far', async () => {
  let inThisTurn = 0;
  const left = Array.from({ length: SOURCES }, () => CHUNKS);
  /** The most chunks that a source has left, each time that one has ended. */
  const leftAtEnds: number[] = [];
  async function receive(source: number): Promise<number> {
    const readable = new Readable({
      read() {
        left[source] = (left[source] ?? 0) - 1;
        inThisTurn++;
        this.push((left[source] ?? 0) < 0 ? null : CHUNK);
      },
    });
    const { signal } = new AbortController();
    const intake = openIntake(readable, { signal, maxBytes: Infinity }, SYSTEM);
    let bytes = 0;
    for (let batch = await intake.take(); batch; batch = await intake.take()) {
      for (const { length } of batch) bytes += length;
    }
    expect(intake.ended).toEqual({ kind: 'end' });
    leftAtEnds.push(Math.max(...left));
    return bytes;
  }

  const received = Promise.all(left.map((_, source) => receive(source)));
  let hasEnded = false;
  void received.then(() => (hasEnded = true));
  const turns: number[] = [];
  while (!hasEnded) {
    inThisTurn = 0;
    await turn();
    turns.push(inThisTurn);
  }

  expect(await received).toEqual(left.map(() => CHUNKS * CHUNK.length));
  // In the first turn they all begin. Four are resumed in each of the others, with what came before the pause and two chunks each.
  expect(Math.max(...turns.slice(1))).toBeLessThanOrEqual(4 * 3);
  expect(Math.max(...leftAtEnds)).toBeLessThanOrEqual(4);
});
