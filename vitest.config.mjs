import { defineConfig } from 'vitest/config';

// The tests run as compiled JavaScript: what is tested is what ships, and
// worker threads and child processes start from the same files as in production.
export default defineConfig({
  test: {
    include: ['dist/**/*.test.js'],
    exclude: ['node_modules/**'],
    globalSetup: ['./dist/test/support/chromium.js', './dist/test/support/shared-ceph.js'],
    pool: 'forks',
    maxWorkers: 2,
    // What a hang may take, on the slowest machine; nothing is measured by them.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 10_000 } },
    reporters: ['default', './dist/test/support/closing-line-reporter.js'],
  },
});
