/** How far bytes have come in a file, and what is due: every transition, without a file. */
import { describe, expect, test } from 'vitest';
import {
  afterBatch,
  afterCommit,
  afterSync,
  isFarBehind,
  isFlushing,
  type LastSteps,
  lastSteps,
  nextBehind,
  type Occasion,
  type Progress,
  startAt,
  withCommitDue,
} from '../../stores/local/progress.ts';

const MIB = 1024 * 1024;
const AT = 100 * MIB;
/** The first commit is due a second after the beginning. */
const BEGUN_MS = 5_000;
const BEFORE_DUE_MS = BEGUN_MS + 999;
const DUE_MS = BEGUN_MS + 1_000;

function at(change: Partial<Progress> = {}): Progress {
  return { ...startAt(AT, BEGUN_MS), ...change };
}

interface Due {
  name: string;
  progress: Partial<Progress>;
  occasion: Occasion;
  nowMs?: number;
  next: ReturnType<typeof nextBehind>;
}

const DUE: Due[] = [
  { name: 'little was written', progress: { written: AT + 1 }, occasion: 'batch', next: 'rest' },
  { name: 'just less than 8 MiB', progress: { written: AT + 8 * MIB - 1 }, occasion: 'batch', next: 'rest' },
  { name: '8 MiB are unsynced', progress: { written: AT + 8 * MIB }, occasion: 'batch', next: 'sync' },
  {
    name: '8 MiB were written, and most are synced',
    progress: { written: AT + 8 * MIB, synced: AT + MIB },
    occasion: 'batch',
    next: 'rest',
  },
  { name: 'less than 256 KiB', progress: { written: AT + 262_143 }, occasion: 'pause', next: 'rest' },
  { name: '256 KiB are unsynced', progress: { written: AT + 262_144 }, occasion: 'pause', next: 'sync' },
  {
    name: '64 MiB are not committed, though synced',
    progress: { written: AT + 64 * MIB, synced: AT + 64 * MIB },
    occasion: 'batch',
    next: 'commit',
  },
  {
    name: 'just less than 64 MiB are not committed',
    progress: { written: AT + 64 * MIB - 1, synced: AT + 64 * MIB - 1 },
    occasion: 'batch',
    next: 'rest',
  },
  { name: 'its time has come', progress: { written: AT + 1 }, occasion: 'batch', nowMs: DUE_MS, next: 'commit' },
  { name: 'its time has come', progress: { written: AT + 1 }, occasion: 'pause', nowMs: DUE_MS, next: 'commit' },
  ...(['batch', 'pause'] as const).flatMap((occasion): Due[] =>
    (
      [
        ['a batch is on its way', { isWriting: true }],
        ['a sync is under way', { isSyncing: true }],
        ['the source has ended', { phase: 'ending' }],
        ['something has failed', { phase: 'failed' }],
      ] as const
    ).map(([name, change]) => ({
      name,
      progress: { written: AT + 64 * MIB, ...change },
      occasion,
      nowMs: DUE_MS,
      next: 'rest',
    })),
  ),
];

describe('what is due in the background', () => {
  test.each(DUE)('after a $occasion: $name', ({ progress, occasion, nowMs = BEFORE_DUE_MS, next }) => {
    expect(nextBehind(at(progress), occasion, nowMs)).toBe(next);
  });

  test('a flush makes a commit due at once', () => {
    expect(nextBehind(withCommitDue(at({ written: AT + 1 })), 'batch', 0)).toBe('commit');
  });
});

test('a batch, a sync and a commit move what they are about, and nothing else', () => {
  const begun = at({ isWriting: true });
  const written = afterBatch(begun, 10);
  expect(written).toEqual({ ...begun, written: AT + 10, isWriting: false });
  const synced = afterSync(written, AT + 6);
  expect(synced).toEqual({ ...written, synced: AT + 6 });
  const committed = afterCommit(synced, AT + 4, 20_000);
  expect(committed).toEqual({ ...synced, committed: AT + 4, commitDueAtMs: 30_000 });
});

test('a disk is far behind at 64 MiB', () => {
  expect(isFarBehind(at({ written: AT + 64 * MIB - 1 }))).toBe(false);
  expect(isFarBehind(at({ written: AT + 64 * MIB }))).toBe(true);
});

test.each([
  { name: 'nothing of it is committed', progress: {}, flushing: true },
  { name: 'not all of it is committed', progress: { committed: AT + 9 }, flushing: true },
  { name: 'it is committed', progress: { committed: AT + 10 }, flushing: false },
  { name: 'the source has ended', progress: { phase: 'ending' }, flushing: false },
  { name: 'something has failed', progress: { phase: 'failed' }, flushing: false },
] as const)('a flush of ten bytes: $name', ({ progress, flushing }) => {
  expect(isFlushing(at({ written: AT + 20, ...progress }), AT + 10)).toBe(flushing);
});

interface Last {
  name: string;
  progress?: Partial<Progress>;
  size?: number | null;
  isNew?: boolean;
  hasLinks?: boolean;
  steps: LastSteps;
}

const NOTHING: LastSteps = { commits: false, syncs: false, entryBy: 'us' };

describe('what is left once the source has ended', () => {
  test.each<Last>([
    { name: 'nothing came', steps: NOTHING },
    { name: 'nothing came of a new upload', isNew: true, steps: { ...NOTHING, commits: true } },
    { name: 'all is committed', progress: { written: AT + 9, synced: AT + 9, committed: AT + 9 }, steps: NOTHING },
    {
      name: 'all is synced, and not committed',
      progress: { written: AT + 9, synced: AT + 9 },
      steps: { ...NOTHING, commits: true },
    },
    {
      name: 'not all is synced',
      progress: { written: AT + 9, synced: AT + 8 },
      steps: { ...NOTHING, commits: true, syncs: true },
    },
    {
      name: 'the upload is whole',
      progress: { written: AT + 10 },
      steps: { commits: true, syncs: true, entryBy: 'publication' },
    },
    {
      name: 'the upload is whole, on a file system without links',
      progress: { written: AT + 10 },
      hasLinks: false,
      steps: { commits: true, syncs: true, entryBy: 'us' },
    },
    {
      name: 'its length is not known',
      progress: { written: AT + 10 },
      size: null,
      steps: { commits: true, syncs: true, entryBy: 'us' },
    },
  ])('$name', ({ progress = {}, size = AT + 10, isNew = false, hasLinks = true, steps }) => {
    expect(lastSteps(at(progress), { size, isNew, hasLinks })).toEqual(steps);
  });
});
