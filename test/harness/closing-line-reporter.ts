/**
 * Vitest reporter whose last line says how the run went: `N passed, N failed`.
 *
 * What did not run cannot have passed, so these count as failures: a file that could not be
 * loaded, an error outside any test, a suite in `TIDEMARK_REQUIRED_SUITES` (comma-separated
 * file names, folders or ends of paths, such as `cli/upload`) of which no test ran, and with
 * `CI=true` each skipped test.
 *
 * Where tests failed and nothing else went wrong, the reporter writes what to run once more to the file that
 * `TIDEMARK_FAILED_FILES` names: how many tests passed in other files, then one failed file per line. The second run gets
 * that number as `TIDEMARK_PASSED_BEFORE`, and adds it.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

export interface Expectations {
  /** Whether a skipped test is a failure. */
  skipsFail: boolean;
  requiredSuites: readonly string[];
}

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  /** Failures that no test reports by itself, one line each. */
  complaints: string[];
  /** Files of which a test, or the setup before the tests, failed. */
  failedFiles: string[];
  /** How many of the tests that passed are in other files. */
  passedElsewhere: number;
}

/** What the tally needs of a test module. */
export type CountedModule = Pick<TestModule, 'relativeModuleId'> & {
  state(): string;
  children: { allTests(): Iterable<{ fullName: string; result(): { state: string } }> };
};

export function tally(modules: readonly CountedModule[], unhandledErrors: number, expectations: Expectations): Tally {
  const result: Tally = { passed: 0, failed: 0, skipped: 0, complaints: [], failedFiles: [], passedElsewhere: 0 };
  const ran = new Set<string>();
  for (const module of modules) {
    const file = module.relativeModuleId;
    let failedHere = 0;
    let passedHere = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') passedHere++;
      else if (state === 'failed') failedHere++;
      else if (expectations.skipsFail) result.complaints.push(`skipped: ${file} > ${test.fullName}`);
      else result.skipped++;
      if (state === 'passed' || state === 'failed') ran.add(file);
    }
    result.passed += passedHere;
    result.failed += failedHere;
    if (failedHere > 0 || module.state() === 'failed') result.failedFiles.push(file);
    else result.passedElsewhere += passedHere;
    if (failedHere === 0 && module.state() === 'failed') result.complaints.push(`did not run to its end: ${file}`);
  }
  if (unhandledErrors > 0) result.complaints.push(`errors outside any test: ${unhandledErrors}`);
  for (const suite of expectations.requiredSuites) {
    if (![...ran].some((file) => isSuite(file, suite))) result.complaints.push(`required, but did not run: ${suite}`);
  }
  result.failed += result.complaints.length;
  return result;
}

/** `dist/test/cli/upload.test.js` is named by `upload`, `cli/upload.test.ts`, `test/cli/` and the like. */
function isSuite(file: string, suite: string): boolean {
  const path = (text: string) => `/${text.replace(/(?:\.test)?\.[jt]s$|\/+$/, '')}/`;
  return path(file).includes(path(suite));
}

export function closingLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** The text for the second run; empty where there must be none. */
export function secondRun({ complaints, failedFiles, passedElsewhere }: Tally): string {
  const ofFiles = complaints.every((complaint) => failedFiles.some((file) => complaint.includes(file)));
  if (!ofFiles || failedFiles.length === 0) return '';
  return [passedElsewhere, ...failedFiles].map((line) => `${line}\n`).join('');
}

export default class ClosingLineReporter implements Reporter {
  private result: Tally | undefined;
  private watching = false;

  onInit(vitest: { config: { watch: boolean } }): void {
    this.watching = vitest.config.watch;
    // On exit, so that this line comes after everything else that is printed at the end of the run.
    process.once('exit', () => this.print());
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.result = tally(modules, unhandledErrors.length, {
      skipsFail: process.env['CI'] === 'true',
      requiredSuites: (process.env['TIDEMARK_REQUIRED_SUITES'] ?? '').split(/[\s,]+/).filter((suite) => suite !== ''),
    });
    this.result.passed += Number(process.env['TIDEMARK_PASSED_BEFORE'] ?? 0);
    if (this.result.failed > 0) process.exitCode = 1;
    const path = process.env['TIDEMARK_FAILED_FILES'];
    if (path) writeFileSync(path, secondRun(this.result));
    if (this.watching) this.print();
  }

  private print(): void {
    if (!this.result) return;
    for (const complaint of this.result.complaints) process.stdout.write(`FAIL  ${complaint}\n`);
    process.stdout.write(`${closingLine(this.result)}\n`);
    this.result = undefined;
  }
}
