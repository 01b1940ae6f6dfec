/** How bytes fill parts, and how a row changes: every transition, without a bucket. */
import { PART } from '../harness/part.ts';
import { describe, expect, test } from 'vitest';
import { encodeName } from '../../stores/s3/storing.ts';
import { afterStep, type Filling, type Happening, nextStep, type Step } from '../../stores/s3/filling.ts';
import { choosePartSizes, type PartPlace } from '../../stores/s3/part-sizes.ts';
import { afterChange, afterDurable, changeRow, type Row, type RowChange, rowOf } from '../../stores/s3/row.ts';
import { decodeState, encodeState, type Tail, type UploadState } from '../../stores/s3/state.ts';

const SIZES = { first: 10, doubling: false };
const FIRST: PartPlace = { number: 1, start: 0, end: 10 };
const SECOND: PartPlace = { number: 2, start: 10, end: 20 };
const LAST: PartPlace = { number: 3, start: 20, end: 25 };
/** Of 25 bytes, in parts of 10; nothing is taken yet. */
const EMPTY: Filling = { size: 25, sizes: SIZES, taken: 0, open: null, isMultipart: false };

interface Transition {
  name: string;
  at: Partial<Filling>;
  happening: Happening;
  step: Step;
  leaves?: Partial<Filling>;
}

const bytes = (waiting: number): Happening => ({ kind: 'bytes', waiting });
const open = (place: PartPlace, rest: { readsBack?: boolean; isOneOfMany?: boolean } = {}): Step => ({
  kind: 'open',
  place,
  readsBack: false,
  isOneOfMany: false,
  ...rest,
});
const REST: Step = { kind: 'rest' };

const TRANSITIONS: Transition[] = [
  {
    name: 'bytes come, and the upload has more than one part',
    at: {},
    happening: bytes(3),
    step: open(FIRST, { isOneOfMany: true }),
    leaves: { open: FIRST, isMultipart: true },
  },
  {
    name: 'bytes come, and the upload has one part',
    at: { size: 7 },
    happening: bytes(3),
    step: open({ ...FIRST, end: 7 }),
    leaves: { open: { ...FIRST, end: 7 } },
  },
  {
    name: 'bytes come, and one part is just enough',
    at: { size: 10 },
    happening: bytes(3),
    step: open(FIRST),
    leaves: { open: FIRST },
  },
  {
    name: 'bytes come of an upload without a length',
    at: { size: null },
    happening: bytes(30),
    step: open(FIRST),
    leaves: { open: FIRST },
  },
  {
    name: 'bytes come after a tail',
    at: { taken: 14, isMultipart: true },
    happening: bytes(3),
    step: open(SECOND, { readsBack: true, isOneOfMany: true }),
    leaves: { open: SECOND },
  },
  {
    name: 'bytes come at the border of two parts',
    at: { taken: 10, isMultipart: true },
    happening: bytes(3),
    step: open(SECOND, { isOneOfMany: true }),
    leaves: { open: SECOND },
  },
  {
    name: 'bytes come of the last part, which the upload ends',
    at: { taken: 20, isMultipart: true },
    happening: bytes(5),
    step: open(LAST),
    leaves: { open: LAST },
  },
  {
    name: 'bytes come that no part can have',
    at: { size: null, sizes: SIZES, taken: 100_000 },
    happening: bytes(1),
    step: { kind: 'refuse' },
  },
  {
    name: 'fewer bytes than the part lacks',
    at: { open: FIRST, taken: 2 },
    happening: bytes(3),
    step: { kind: 'fill', bytes: 3 },
    leaves: { taken: 5 },
  },
  {
    name: 'more bytes than the part lacks',
    at: { open: FIRST, taken: 2 },
    happening: bytes(100),
    step: { kind: 'fill', bytes: 8 },
    leaves: { taken: 10 },
  },
  {
    name: 'no byte is left, and the part lacks some',
    at: { open: FIRST, taken: 2 },
    happening: bytes(0),
    step: REST,
  },
  {
    name: 'no byte is left, and no part is open',
    at: { taken: 10 },
    happening: bytes(0),
    step: REST,
  },
  {
    name: 'a part is whole, and it is the upload',
    at: { size: 7, open: { ...FIRST, end: 7 }, taken: 7 },
    happening: bytes(0),
    step: { kind: 'send', as: 'object' },
    leaves: { open: null },
  },
  {
    name: 'the only part is whole, and a multipart upload was begun before',
    at: { size: 7, open: { ...FIRST, end: 7 }, taken: 7, isMultipart: true },
    happening: bytes(0),
    step: { kind: 'send', as: 'part' },
    leaves: { open: null },
  },
  {
    name: 'a part of several is whole, with bytes left',
    at: { open: SECOND, taken: 20, isMultipart: true },
    happening: bytes(4),
    step: { kind: 'send', as: 'part' },
    leaves: { open: null },
  },
  {
    name: 'the first part is whole of an upload without a length',
    at: { size: null, open: FIRST, taken: 10 },
    happening: bytes(0),
    step: { kind: 'send', as: 'part' },
    leaves: { open: null, isMultipart: true },
  },
  {
    name: 'the last part is whole',
    at: { open: LAST, taken: 25, isMultipart: true },
    happening: bytes(0),
    step: { kind: 'send', as: 'part' },
    leaves: { open: null },
  },
  {
    name: 'the last part is whole, and no multipart upload was begun',
    at: { open: LAST, taken: 25 },
    happening: bytes(0),
    step: { kind: 'send', as: 'part' },
    leaves: { open: null, isMultipart: true },
  },
  { name: 'a flush, and no part is open', at: { taken: 10 }, happening: { kind: 'flush' }, step: REST },
  {
    name: 'a flush, and a part is open',
    at: { open: SECOND, taken: 14 },
    happening: { kind: 'flush' },
    step: { kind: 'storeTail', closes: false },
  },
  ...(['memory', 'end'] as const).flatMap((kind): Transition[] => [
    { name: `${kind}, and no part is open`, at: { taken: 10 }, happening: { kind }, step: REST },
    {
      name: `${kind}, and a part is open`,
      at: { open: SECOND, taken: 14 },
      happening: { kind },
      step: { kind: 'storeTail', closes: true },
      leaves: { open: null },
    },
  ]),
];

describe('the next step of a write to a bucket', () => {
  test.each(TRANSITIONS)('$name', ({ at, happening, step, leaves = {} }) => {
    const before = { ...EMPTY, ...at };
    const next = nextStep(before, happening);
    expect(next).toEqual(step);
    expect(afterStep(before, next)).toEqual({ ...before, ...leaves });
  });

  test.each([1, 3, 9, 10, 11, 25])('takes 25 bytes in batches of %i, each byte once', (batchBytes) => {
    let filling = EMPTY;
    const sent: { place: PartPlace; as: string }[] = [];
    for (let at = 0; at < 25; at += batchBytes) {
      let waiting = Math.min(batchBytes, 25 - at);
      for (let steps = 0; steps < 10; steps++) {
        const step = nextStep(filling, { kind: 'bytes', waiting });
        if (step.kind === 'rest') break;
        if (step.kind === 'send' && filling.open) sent.push({ place: filling.open, as: step.as });
        if (step.kind === 'fill') waiting -= step.bytes;
        filling = afterStep(filling, step);
      }
      expect(waiting).toBe(0);
    }
    expect(sent).toEqual([FIRST, SECOND, LAST].map((place) => ({ place, as: 'part' })));
    expect(filling).toMatchObject({ taken: 25, open: null });
  });
});

const STATE: UploadState = {
  sizes: SIZES,
  multipart: null,
  doubtful: false,
  tail: null,
  old: [],
  whole: false,
  key: null,
};

function tailAt(start: number, key: string): Tail {
  return { key, start, size: 4, md5: 'm' };
}

interface Change {
  name: string;
  row: { committed?: number; state?: Partial<UploadState>; outdated?: string[] };
  to: number;
  change: Parameters<typeof changeRow>[2];
  state: Partial<UploadState> | null;
  removes?: string[];
}

const CHANGES: Change[] = [
  { name: 'nothing was stored, nothing is kept', row: {}, to: 0, change: {}, state: null },
  {
    name: 'a multipart upload is about to be begun',
    row: {},
    to: 0,
    change: { doubtful: true },
    state: { doubtful: true },
  },
  {
    name: 'it was begun',
    row: { state: { doubtful: true } },
    to: 0,
    change: { multipart: 'id', doubtful: false },
    state: { multipart: 'id' },
  },
  {
    name: 'the first tail',
    row: {},
    to: 4,
    change: { tail: tailAt(0, 'a') },
    state: { tail: tailAt(0, 'a') },
  },
  {
    name: 'a tail in the place of another, which stays for as long as a power cut can bring it back',
    row: { committed: 4, state: { tail: tailAt(0, 'a') } },
    to: 8,
    change: { tail: tailAt(0, 'b') },
    state: { tail: tailAt(0, 'b'), old: ['a'] },
  },
  {
    name: 'a part in the place of its tail',
    row: { committed: 4, state: { multipart: 'id', tail: tailAt(0, 'a') } },
    to: 10,
    change: { tail: null },
    state: { multipart: 'id', old: ['a'] },
  },
  {
    name: 'the whole object',
    row: { committed: 4, state: { tail: tailAt(0, 'a') } },
    to: 7,
    change: { tail: null, whole: true },
    state: { whole: true, old: ['a'] },
  },
  {
    name: 'a tail that stands stays when something else is told',
    row: { committed: 4, state: { tail: tailAt(0, 'a') } },
    to: 4,
    change: { doubtful: true },
    state: { tail: tailAt(0, 'a'), doubtful: true },
  },
  {
    name: 'what is outdated goes, and what is superseded since stays',
    row: { committed: 8, state: { tail: tailAt(0, 'c'), old: ['a', 'b'] }, outdated: ['a'] },
    to: 9,
    change: { tail: tailAt(0, 'd') },
    state: { tail: tailAt(0, 'd'), old: ['b', 'c'] },
    removes: ['a'],
  },
  {
    name: 'nothing is stored but what is still to be removed',
    row: { committed: 0, state: { old: ['a'] } },
    to: 0,
    change: {},
    state: { old: ['a'] },
  },
  {
    name: 'the last thing that was kept is outdated',
    row: { committed: 0, state: { old: ['a'] }, outdated: ['a'] },
    to: 0,
    change: {},
    state: null,
    removes: ['a'],
  },
];

describe('the row of a write to a bucket', () => {
  test.each(CHANGES)('$name', ({ row, to, change, state, removes = [] }) => {
    const before: Row = { committed: 0, outdated: [], ...row, state: { ...STATE, ...row.state } };
    const made = changeRow(before, to, change);
    expect(decodeState(made.storeState)).toEqual(state && { ...STATE, ...state });
    expect(made.removes).toEqual(removes);
    expect(afterChange(before, made)).toEqual({
      committed: to,
      state: { ...STATE, ...state, old: state?.old ?? [] },
      outdated: [],
    });
  });

  test('a new upload has nothing', () => {
    const row = rowOf({ offset: 0, size: 25, storeState: null }, PART);
    expect(row).toEqual({ committed: 0, state: { ...STATE, sizes: choosePartSizes(25, PART) }, outdated: [] });
  });

  test.each(['', '5e1b7d2c-0d3f-4a53-9f0a-1c2d3e4f5a6b'])(
    'one that a folder noted "%s" in has nothing',
    (storeState) => {
      const row = rowOf({ offset: 0, size: 25, storeState }, PART);
      expect(row).toEqual({ committed: 0, state: { ...STATE, sizes: choosePartSizes(25, PART) }, outdated: [] });
    },
  );

  test('what was superseded before the request is outdated at its beginning', () => {
    const storeState = encodeState({ ...STATE, tail: tailAt(0, 'b'), old: ['a'] });
    expect(rowOf({ offset: 4, size: 25, storeState }, PART)).toMatchObject({ committed: 4, outdated: ['a'] });
  });

  test('what was superseded within a request is outdated once that is durable, and no sooner', () => {
    const superseding = (row: Row, key: string): RowChange => changeRow(row, 4, { tail: tailAt(0, key) });
    let row: Row = { committed: 0, state: STATE, outdated: [] };
    for (const key of ['a', 'b']) row = afterChange(row, superseding(row, key));
    const durable = row;
    // While the catalog is made durable, another tail comes.
    row = afterChange(row, superseding(row, 'c'));
    expect(row).toMatchObject({ state: { old: ['a', 'b'] }, outdated: [] });
    row = afterDurable(row, durable);
    expect(row.outdated).toEqual(['a']);
    const last = superseding(row, 'd');
    expect(last.removes).toEqual(['a']);
    expect(afterChange(row, last)).toMatchObject({ state: { old: ['b', 'c'] }, outdated: [] });
  });

  test('what becomes outdated while a commit is made is left for the next', () => {
    const row: Row = { committed: 4, state: { ...STATE, tail: tailAt(0, 'c'), old: ['a', 'b'] }, outdated: ['a'] };
    const made = changeRow(row, 8, { tail: tailAt(0, 'd') });
    expect(afterChange({ ...row, outdated: ['a', 'b'] }, made)).toMatchObject({
      state: { old: ['b', 'c'] },
      outdated: ['b'],
    });
  });
});

test('the name in an object’s metadata is the last part of a path, and no longer than metadata may be', () => {
  expect(encodeName('photos/2024/Tide ä.jpg')).toBe('Tide%20%C3%A4.jpg');
  const long = encodeName(`${'潮'.repeat(255)}.jpg`);
  expect(long.length).toBeLessThanOrEqual(1024);
  expect(decodeURIComponent(long)).toBe('潮'.repeat(113));
});
