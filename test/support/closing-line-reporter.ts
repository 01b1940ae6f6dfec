/**
 * Ends a test run with the line `N passed, N failed`, and, where CI=true, turns what
 * did not run into a failure: a skipped test, or a suite of TIDEMARK_REQUIRED_SUITES
 * (comma-separated parts of file names) that is missing.
 */
import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0 };
    const skipped: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) count.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') count.passed++;
        else if (state === 'failed') count.failed++;
        else {
          count.skipped++;
          skipped.push(`${module.relativeModuleId}: ${test.fullName}`);
        }
      }
    }
    if (process.env['CI'] === 'true') {
      const missing = (process.env['TIDEMARK_REQUIRED_SUITES'] ?? '')
        .split(',')
        .filter((suite) => suite !== '' && !modules.some((module) => module.relativeModuleId.includes(suite)));
      for (const suite of missing) process.stdout.write(`CI: the suite ${suite} did not run\n`);
      for (const test of skipped) process.stdout.write(`CI: skipped: ${test}\n`);
      count.failed += missing.length + skipped.length;
      if (missing.length + skipped.length > 0) process.exitCode = 1;
    }
    // After the other reporters have written theirs.
    process.once('exit', () => {
      const skips = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
      process.stdout.write(`${count.passed} passed, ${count.failed} failed${skips}\n`);
    });
  }
}
