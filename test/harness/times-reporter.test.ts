import { expect, test } from 'vitest';
import { describeTimes } from './times-reporter.ts';

test('the longest files come first, and those that ended last', () => {
  const times = [
    { file: 'web/page', beganMs: 0, endedMs: 61_000 },
    { file: 'cli/name', beganMs: 60_000, endedMs: 64_400 },
    { file: 'tus/protocol', beganMs: 1_000, endedMs: 9_000 },
  ];
  expect(describeTimes(times)).toBe(
    'longest: web/page 61 s, tus/protocol 8 s, cli/name 4 s\n' +
      'last: cli/name from 60 s to 64 s, web/page from 0 s to 61 s, tus/protocol from 1 s to 9 s\n',
  );
  expect(describeTimes([])).toBe('longest: \nlast: \n');
});
