/** The policy of a client towards others, as tables: whom to wait for, and what counts as proven. */
import { describe, expect, test } from 'vitest';
import { giveName } from '../../client/core/naming.ts';
import { watchOtherSender, whatToDo } from '../../client/core/other-sender.ts';
import { compare, isProvenByMd5, judge } from '../../client/core/proof.ts';
import type { CheckJson } from '../../server/wire/check.ts';
import type { FileJson } from '../../server/wire/files.ts';

const GB = 1e9;

describe('another sender', () => {
  type Look = [atSeconds: number, offset: number, idleSeconds: number | undefined];

  /** What the last look says of an upload of 1 GB. Between two given looks, nothing new is seen every ten seconds. */
  function judgeAfter(looks: Look[]): string | undefined {
    const watch = watchOtherSender(1_000, GB);
    const all = looks.flatMap((look, index) => {
      const [at, ...seen] = looks[index - 1] ?? look;
      const between = Array.from({ length: Math.max(0, Math.ceil((look[0] - at) / 10) - 1) }, (_, n): Look => [
        at + 10 * (n + 1),
        ...seen,
      ]);
      return [...between, look];
    });
    return all.map(([at, offset, idle]) => watch(1_000 + at * 1_000, offset, idle)).at(-1);
  }

  /** Seconds since the first look, bytes that are stored, seconds since the last byte. */
  test.each([
    [
      'bytes come at a rate that is worth waiting for',
      [
        [0, 0, 0],
        [30, 300e6, 0],
      ],
      'moving',
    ],
    [
      'it is too early to judge',
      [
        [0, 0, 0],
        [19, 1_000, 0],
      ],
      'moving',
    ],
    [
      'a trickle',
      [
        [0, 0, 0],
        [21, 1_000, 0],
      ],
      'slow',
    ],
    [
      'nothing is stored yet, as a part of a bucket is not full',
      [
        [0, 0, 0],
        [60, 0, 1],
      ],
      'moving',
    ],
    [
      'nothing is stored for two minutes, though bytes come',
      [
        [0, 0, 0],
        [121, 0, 1],
      ],
      'slow',
    ],
    [
      'no byte comes',
      [
        [0, 5, 0],
        [16, 5, 16],
      ],
      'silent',
    ],
    [
      'no byte is stored, and the service does not tell more',
      [
        [0, 5, undefined],
        [16, 5, undefined],
      ],
      'silent',
    ],
    [
      'no byte is stored, but the last one came lately',
      [
        [0, 5, 0],
        [16, 5, 3],
      ],
      'moving',
    ],
    [
      'it fell silent for less than 15 s',
      [
        [0, 5, 0],
        [15, 5, 15],
      ],
      'moving',
    ],
    [
      'it is watched for longer than ten minutes',
      [
        [0, 0, 0],
        [601, 900e6, 0],
      ],
      'slow',
    ],
  ] as [string, Look[], string][])('%s', (_, looks, expected) => {
    expect(judgeAfter(looks)).toBe(expected);
  });

  /** Seconds since the look before, bytes that are stored, seconds since the last byte. */
  test.each([
    [
      'nearly done meanwhile',
      [
        [3, 1e6, 0],
        [660, 990e6, 0],
      ],
      'moving',
    ],
    [
      'slow before and quick since',
      [
        [3, 1e6, 0],
        [660, 2e6, 0],
        [21, 300e6, 0],
      ],
      'moving',
    ],
    [
      'a trickle is judged by what is seen since',
      [
        [3, 1e6, 0],
        [660, 990e6, 0],
        [21, 990.001e6, 0],
      ],
      'slow',
    ],
    [
      'no byte since the look before',
      [
        [3, 1e6, 0],
        [60, 1e6, 61],
      ],
      'silent',
    ],
    [
      'the last byte came after the look before',
      [
        [3, 1e6, 0],
        [60, 1e6, 5],
      ],
      'moving',
    ],
  ] as [string, Look[], string][])('after a time without looks: %s', (_, looks, expected) => {
    const watch = watchOtherSender(0, GB);
    let nowMs = 0;
    const verdicts = looks.map(([after, offset, idle]) => watch((nowMs += after * 1_000), offset, idle));
    expect(verdicts.at(-1)).toBe(expected);
  });

  test('of an unknown size there is no rate that would be too slow', () => {
    const watch = watchOtherSender(0, null);
    watch(0, 0, 0);
    expect(watch(30_000, 10, 0)).toBe('moving');
  });

  test.each([
    ['ended', true, 'moving', 'resume'],
    ['ended', false, 'moving', 'resume'],
    ['unknown', false, 'moving', 'resume'],
    ['unknown', true, 'moving', 'wait'],
    ['unknown', true, 'silent', 'resume'],
    ['unknown', true, 'slow', 'avoid'],
    ['running', false, 'moving', 'wait'],
    ['running', true, 'slow', 'wait'],
    ['running', false, 'silent', 'resume'],
  ] as const)('sender %s, bytes lately: %s, %s: %s', (sender, isMoving, verdict, expected) => {
    expect(whatToDo(sender, isMoving, () => verdict)).toBe(expected);
  });
});

const BYTES = { md5: 'm', sha256: 's', size: 3 };
const FILE: FileJson = { id: 'f', name: 'a', size: 3, md5: 'm', type: null, uploadedAt: '', url: '' };

describe('proof', () => {
  test.each([
    [null, false, true],
    [null, true, false],
    [{ name: 'a', isOurs: true }, false, true],
    [{ name: 'a', isOurs: true }, true, false],
    [{ name: 'a', isOurs: false }, false, false],
  ])('begun %o, shared %s: an equal MD5 is proof: %s', (begun, isShared, expected) => {
    expect(isProvenByMd5({ begun, isShared })).toBe(expected);
  });

  test.each([
    [{}, true, 'same'],
    [{}, false, 'unknown'],
    [{ sha256: 's' }, false, 'same'],
    [{ sha256: 'x' }, true, 'otherSha256'],
    [{ md5: 'x' }, true, 'otherBytes'],
    [{ size: 4, sha256: 's' }, true, 'otherBytes'],
  ])('a file with %o, proven %s: %s', (changes, isProven, expected) => {
    expect(judge({ ...FILE, ...changes }, BYTES, isProven)).toBe(expected);
  });

  const exists = (file?: FileJson): CheckJson => ({ status: 'exists', url: '', ...(file ? { file } : {}) });
  test.each([
    ['the check by SHA-256 finds this file', exists(FILE), {}, 'same'],
    ['it finds another, and this one has the SHA-256', exists({ ...FILE, id: 'g' }), { sha256: 's' }, 'same'],
    ['it finds another, and this one has none', exists({ ...FILE, id: 'g' }), {}, 'otherSha256'],
    ['it finds none, and this one has another SHA-256', { status: 'notfound' }, { sha256: 'x' }, 'otherSha256'],
    ['it finds none, as the service tells nothing', { status: 'notfound' }, {}, 'same'],
  ] as [string, CheckJson, Partial<FileJson>, string][])('shared: %s', async (_, answer, computed, expected) => {
    const asked: string[] = [];
    const service = {
      check: () => (asked.push('check'), Promise.resolve(answer)),
      file: () => (asked.push('file'), Promise.resolve({ ...FILE, ...computed })),
    };
    expect((await compare(FILE, BYTES, { begun: null, isShared: true }, service)).verdict).toBe(expected);
    expect(asked[0]).toBe('check');
    asked.length = 0;
    expect((await compare(FILE, BYTES, { begun: null, isShared: false }, service)).verdict).toBe('same');
    expect(asked).toEqual([]);
  });
});

describe('names', () => {
  const ours = { name: 'old', isOurs: true };
  test.each([
    ['begun just now', null, 'old', true, ['old', []]],
    ['begun by us under another name', ours, 'old', true, ['new', ['rename']]],
    ['where PATCH does not get through', ours, 'old', false, ['new', ['rename', 'check']]],
    ['renamed by another client since', ours, 'theirs', true, ['new', ['check']]],
    ['begun by another client', { name: 'old', isOurs: false }, 'old', true, ['new', ['check']]],
    ['has the name already', { name: 'old', isOurs: false }, 'new', true, ['new', []]],
  ] as const)('%s', async (_, begun, published, isRenamed, expected) => {
    const asked: string[] = [];
    const named = { ...FILE, name: 'new' };
    const file = await giveName({ ...FILE, name: published }, 'new', begun, {
      rename: () => (asked.push('rename'), Promise.resolve(isRenamed ? named : null)),
      checkAs: () => (asked.push('check'), Promise.resolve({ status: 'exists', url: '', file: named })),
    });
    expect([file?.name, asked]).toEqual(expected);
  });

  test.each([
    ['with a number, as its name was taken', ours, 'old (2)', false, ['rename']],
    ['the same, and then the other one is replaced', ours, 'old (2)', true, ['check', 'remove']],
    ['as it was begun, and the other one is replaced', ours, 'old', true, ['check', 'remove']],
    ['with a number of the wanted name', { name: 'new', isOurs: true }, 'new (12)', true, ['check', 'remove']],
    ['renamed by another client since', ours, 'old (two)', true, ['check']],
    ['in another folder by another client since', ours, 'folder/old (2)', true, ['check']],
    ['by another client', { name: 'old', isOurs: false }, 'old', true, ['check']],
    ['begun just now', null, 'new', true, []],
  ] as const)(
    'where the name is taken, a file that was published %s',
    async (_, begun, published, replaces, expected) => {
      const asked: string[] = [];
      const named = { ...FILE, id: 'named', name: 'new' };
      const file = await giveName({ ...FILE, id: 'published', name: published }, 'new', begun, {
        rename: () => (asked.push('rename'), Promise.resolve(named)),
        checkAs: () => (asked.push('check'), Promise.resolve({ status: 'exists', url: '', file: named })),
        ...(replaces ? { remove: async (id) => void asked.push(id === 'published' ? 'remove' : id) } : {}),
      });
      expect([file?.name, asked]).toEqual(['new', expected]);
    },
  );

  test('nothing is deleted before another file has the name', async () => {
    const service = {
      rename: () => Promise.resolve(null),
      checkAs: () => Promise.resolve<CheckJson>({ status: 'notfound' }),
      remove: () => Promise.reject(new Error('it must not be asked')),
    };
    expect(await giveName(FILE, 'new', { name: FILE.name, isOurs: true }, service)).toBeNull();
  });

  test('a service that gives no second name leaves it to the client', async () => {
    const service = {
      rename: () => Promise.resolve(null),
      checkAs: () => Promise.resolve<CheckJson>({ status: 'notfound' }),
    };
    expect(await giveName(FILE, 'new', { name: 'a', isOurs: false }, service)).toBeNull();
  });
});
