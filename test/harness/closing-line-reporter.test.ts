import { expect, test } from 'vitest';
import { closingLine, type CountedModule, secondRun, tally } from './closing-line-reporter.ts';

function moduleOf(
  file: string,
  states: string[],
  state = states.includes('failed') ? 'failed' : 'passed',
): CountedModule {
  const tests = states.map((each, index) => ({ fullName: `test ${index + 1}`, result: () => ({ state: each }) }));
  return { relativeModuleId: file, state: () => state, children: { allTests: () => tests } };
}

const modules = [
  moduleOf('dist/test/cli/upload.test.js', ['passed', 'passed', 'failed']),
  moduleOf('dist/test/tus/protocol.test.js', ['passed', 'skipped']),
  moduleOf('dist/test/disk-full.test.js', ['skipped', 'skipped']),
];

function lineFor(requiredSuites: string[], skipsFail = false): string {
  return closingLine(tally(modules, 0, { skipsFail, requiredSuites }));
}

test('tests are counted', () => {
  expect(lineFor([])).toBe('3 passed, 1 failed, 3 skipped');
  expect(closingLine(tally([], 0, { skipsFail: true, requiredSuites: [] }))).toBe('0 passed, 0 failed');
});

test('where skipping is not allowed, each skipped test is a failure with its name', () => {
  const counted = tally(modules, 0, { skipsFail: true, requiredSuites: [] });
  expect(closingLine(counted)).toBe('3 passed, 4 failed');
  expect(counted.complaints).toContain('skipped: dist/test/tus/protocol.test.js > test 2');
});

test('a required suite is there when one of its tests ran', () => {
  expect(lineFor(['upload', 'cli/upload.test.ts', 'test/tus/', 'test/cli', 'protocol.test.js'])).toBe(lineFor([]));
});

test.each(['disk-full', 'chaos', 'load', 'us/protocol'])('the required suite %j did not run: a failure', (suite) => {
  const counted = tally(modules, 0, { skipsFail: false, requiredSuites: [suite] });
  expect(closingLine(counted)).toBe('3 passed, 2 failed, 3 skipped');
  expect(counted.complaints).toEqual([`required, but did not run: ${suite}`]);
});

test('a file that could not be loaded and an error outside any test are failures', () => {
  const counted = tally([moduleOf('dist/test/broken.test.js', [], 'failed')], 2, {
    skipsFail: false,
    requiredSuites: [],
  });
  expect(closingLine(counted)).toBe('0 passed, 2 failed');
  expect(counted.complaints).toEqual([
    'did not run to its end: dist/test/broken.test.js',
    'errors outside any test: 2',
  ]);
});

const failed = moduleOf('dist/test/cli/upload.test.js', ['passed', 'failed']);
const unbegun = moduleOf('dist/test/web/page.test.js', ['skipped'], 'failed');
const fine = moduleOf('dist/test/tus/protocol.test.js', ['passed', 'passed']);
const forgotten = moduleOf('dist/test/disk-full.test.js', ['skipped']);

test.each([
  ['a test failed', [failed, fine], 0, [], '2\ndist/test/cli/upload.test.js\n'],
  [
    'what comes before the tests failed, too',
    [failed, unbegun, fine],
    0,
    [],
    '2\ndist/test/cli/upload.test.js\ndist/test/web/page.test.js\n',
  ],
  ['nothing failed', [fine], 0, [], ''],
  ['an error outside any test', [failed, fine], 1, [], ''],
  ['a test was skipped elsewhere', [failed, forgotten], 0, [], ''],
  ['a suite did not run', [failed, fine], 0, ['chaos'], ''],
])('what is run once more: %s', (_, among, errors, requiredSuites, told) => {
  expect(secondRun(tally(among, errors, { skipsFail: true, requiredSuites }))).toBe(told);
});
