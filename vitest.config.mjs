import { defineConfig } from 'vitest/config';
import { LongFilesFirst } from './dist/test/harness/long-files-first.js';

// The tests run as compiled JavaScript: what is tested is what ships, and
// worker threads and child processes start from the same files as in production.
export default defineConfig({
  test: {
    include: ['dist/**/*.test.js'],
    exclude: ['node_modules/**'],
    globalSetup: [
      './dist/test/harness/chromium.js',
      './dist/test/harness/shared-ceph.js',
      './dist/test/harness/shared-postgres.js',
    ],
    pool: 'forks',
    // A process runs many files: to start one, and to load what they have in common, took a tenth of the time of all tests.
    isolate: false,
    // Node loads what is tested itself: Vitest would give each process the text of each module, to be compiled without a cache.
    server: { deps: { external: [/\/dist\/(?!.*\.test\.js)/] } },
    // For two processors: a test waits longer than it computes, for timers, disks and other processes.
    maxWorkers: 7,
    sequence: { sequencer: LongFilesFirst },
    // What a hang may take, on the slowest machine; nothing is measured by them.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 10_000 } },
    reporters: ['default', './dist/test/harness/times-reporter.js', './dist/test/harness/closing-line-reporter.js'],
  },
});
