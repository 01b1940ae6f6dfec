/** The doctor's entry: reads the service's settings, tries what the service does, and reports each step. */
import type { Config } from '../config/config.ts';
import { readEnv } from '../config/env.ts';
import { parseConfig } from '../config/parse.ts';
import { ConfigError } from '../config/problems.ts';
import { examine } from './examine.ts';
import { createReport, type Report } from './report.ts';

const EXIT = { good: 0, failed: 1, usage: 2, interrupted: 130 } as const;
const USAGE = 'usage: doctor [--json]';

async function main(args: readonly string[]): Promise<number> {
  if (args.some((argument) => argument !== '--json')) {
    process.stderr.write(`${USAGE}\n`);
    return EXIT.usage;
  }
  // As the service does: files that the doctor creates, SQLite's for example, may stay for the service.
  process.umask(0o077);
  const report = createReport(args.includes('--json'), (line) => process.stdout.write(`${line}\n`));
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interruption.abort(new Error('interrupted')));
  }
  const config = readConfig(report);
  if (config !== undefined) await examine(config, report, interruption.signal);
  const good = report.end();
  if (interruption.signal.aborted) return EXIT.interrupted;
  return good ? EXIT.good : EXIT.failed;
}

/** Reads and reports the settings. @returns undefined where they are not valid. */
function readConfig(report: Report): Config | undefined {
  const tried = 'reading the environment and .env';
  const begun = performance.now();
  try {
    const config = parseConfig(readEnv());
    const durationMs = Math.round(performance.now() - begun);
    const found = `valid: ${describeStore(config)}, DATA_DIR=${config.dataDir}`;
    report.step({ step: 'settings', status: 'ok', tried, found, change: null, durationMs });
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { variable, message } of error.problems) {
      const change = `correct ${variable}`;
      const found = `${variable} ${message}`;
      report.step({ step: 'settings', status: 'failed', tried, found, change, durationMs: 0 });
    }
    for (const step of ['store', 'catalog', 'folder']) {
      const found = '“settings” failed';
      report.step({ step, status: 'skipped', tried: 'all of it', found, change: null, durationMs: null });
    }
    return undefined;
  }
}

function describeStore({ store }: Config): string {
  if (store.kind === 'local') return 'STORE=local';
  return `STORE=${store.kind}, S3_ENDPOINT=${store.endpoint ?? "AWS's own"}, S3_BUCKET=${store.bucket}`;
}

// Where the reader closes the pipe, the doctor goes on: it still has to remove what it made.
process.stdout.on('error', () => undefined);
let exitCode: number = EXIT.failed;
try {
  exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`The doctor failed: ${error instanceof Error ? error.message : String(error)}\n`);
}
// Node writes to pipes asynchronously: exit only once everything is written.
process.stdout.write('', () => process.exit(exitCode));
