/** Compares the codes that a client has computed of ranges with those of the stored bytes. */
import { setMaxListeners } from 'node:events';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Store } from '../../stores/store.ts';
import type { ContentRecord } from '../catalog/catalog.ts';
import { areCodesEqual, beginCode, type Challenge } from './challenges.ts';
import { linkSignals } from './signals.ts';

/** How many ranges of one content are read at the same time: in a bucket each takes the time of a round trip. */
const READ_AT_ONCE = 16;
/** Ranges no further apart are read as one: what lies between them costs less than another request. */
const MOST_BETWEEN_BYTES = 128 * 1024;

/** A challenge with its codes: one for each range, in their order. */
export type Answered = Challenge & { readonly codes: readonly string[] };

/** Ranges that are read as one. */
interface Run {
  from: number;
  /** Index of the last range, and one more. */
  to: number;
}

/**
 * Whether the codes of these ranges are those of the stored bytes. Ends all reads once one differs or fails, and settles when none
 * is under way any more.
 *
 * @param indexes - of the ranges, in ascending order.
 * @param signal - ends the reads.
 * @throws StoreError: `missing` also where the stored bytes have another size. The reason of `signal`.
 */
export async function areCodesOf(
  store: Pick<Store, 'readContent'>,
  content: ContentRecord,
  answered: Answered,
  indexes: readonly number[],
  signal: AbortSignal,
): Promise<boolean> {
  const runs = runsOf(answered, indexes);
  const decided = new AbortController();
  const reading = linkSignals(signal, decided.signal);
  // Each read listens to it.
  setMaxListeners(0, reading.signal);
  /** What ended the reads first: an error, or a code that differs. */
  let ended: { error?: unknown } | undefined;
  let next = 0;

  async function work(): Promise<void> {
    for (let run = runs[next++]; run !== undefined && !reading.signal.aborted; run = runs[next++])
      if (!(await isRunEqual(store, content, answered, run, reading.signal))) end({});
  }

  function end(by: { error?: unknown }): void {
    ended ??= by;
    decided.abort(new Error('the codes need no more bytes'));
  }

  const workers = Array.from({ length: READ_AT_ONCE }, () => work().catch((error: unknown) => end({ error })));
  await Promise.all(workers).finally(reading.unlink);
  if (ended && 'error' in ended) throw ended.error;
  // Where the reads were ended from outside, not all of them have taken place.
  if (!ended) signal.throwIfAborted();
  return !ended;
}

function runsOf({ ranges }: Challenge, indexes: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const index of indexes) {
    const last = runs.at(-1);
    const between = (ranges[index]?.start ?? 0) - (ranges[index - 1]?.end ?? 0);
    if (last?.to === index && between <= MOST_BETWEEN_BYTES) last.to = index + 1;
    else runs.push({ from: index, to: index + 1 });
  }
  return runs;
}

async function isRunEqual(
  store: Pick<Store, 'readContent'>,
  { key, size }: ContentRecord,
  answered: Answered,
  { from, to }: Run,
  signal: AbortSignal,
): Promise<boolean> {
  const ranges = answered.ranges.slice(from, to);
  const [first, last] = [ranges[0], ranges.at(-1)];
  if (!first || !last) return true;
  const opened = await store.readContent(key, { start: first.start, end: last.end - 1 }, signal, size);
  const stream = addAbortSignal(signal, opened);
  try {
    return await isStreamEqual(stream, { ...answered, ranges, codes: answered.codes.slice(from, to) });
  } finally {
    stream.destroy();
  }
}

/** @param answered - the ranges of the stream, which begins with the first of them, and ends with the last. */
async function isStreamEqual(stream: Readable, answered: Answered): Promise<boolean> {
  const { ranges, codes } = answered;
  let index = 0;
  let at = ranges[0]?.start ?? 0;
  let code = beginCode(answered);
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    for (let used = 0; used < chunk.length && index < ranges.length;) {
      const { start, end } = ranges[index] ?? { start: at, end: at };
      const piece = chunk.subarray(used, used + (at < start ? start : end) - at);
      if (at >= start) code.add(piece);
      used += piece.length;
      at += piece.length;
      if (at < end) continue;
      if (!areCodesEqual(codes[index] ?? '', code.end())) return false;
      index++;
      code = beginCode(answered);
    }
  }
  return index === ranges.length;
}
