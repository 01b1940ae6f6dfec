import { defineConfig } from 'vitest/config';

// The tests run as compiled JavaScript: what is tested is what ships, and
// worker threads and child processes start from the same files as in production.
export default defineConfig({
  test: {
    include: ['dist/**/*.test.js'],
    exclude: ['node_modules/**'],
    globalSetup: './dist/test/support/chromium.js',
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', './dist/test/support/closing-line-reporter.js'],
  },
});
