/** The service's entry: environment -> configuration -> a service in this process, or the parent of several. */
import { nameOfWorker, readArguments } from './arguments.ts';
import { CatalogError } from './catalog/catalog.ts';
import { StoreError } from '../stores/store.ts';
import { readEnv } from './config/env.ts';
import { parseConfig } from './config/parse.ts';
import { ConfigError } from './config/problems.ts';
import { createLog } from './log.ts';
import { makeFilesPrivate } from './private-files.ts';
import { serve } from './serve.ts';
import { endOnSignals } from './stop-signals.ts';

/** sysexits(3): EX_CONFIG. */
const EXIT_CONFIG = 78;

async function main(args: readonly string[]): Promise<void> {
  endOnSignals();
  const { adopt, worker } = readArguments(args);
  makeFilesPrivate();
  const config = parseConfig(readEnv());
  const log = createLog(config.logLevel);
  if (config.workers === 1) await serve(config, log, adopt);
  else if (worker !== undefined) await serve(config, log.child({ worker }), adopt);
  else {
    const { superviseWorkers } = await import('./supervisor.ts');
    const { workers, shutdownTimeoutMs } = config;
    process.exitCode = await superviseWorkers({ workers, args, shutdownTimeoutMs, log });
    process.exit();
  }
}

/** Explains to the operator why the start failed: a sentence for each problem, never a stack trace. */
function explain(error: unknown): { lines: string[]; exitCode: number } {
  if (error instanceof ConfigError) {
    return {
      lines: ['The configuration is not valid:', ...error.problems.map((p) => `  ${p.variable}: ${p.message}`)],
      exitCode: EXIT_CONFIG,
    };
  }
  if (error instanceof CatalogError || error instanceof StoreError) {
    return { lines: [`The service cannot start: ${error.message}`], exitCode: EXIT_CONFIG };
  }
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    return {
      lines: [`The service cannot listen (LISTEN, HTTP_PORT): ${(error as Error).message}`],
      exitCode: EXIT_CONFIG,
    };
  }
  return {
    lines: [`The service cannot start: ${error instanceof Error ? error.message : String(error)}`],
    exitCode: 1,
  };
}

const args = process.argv.slice(2);
try {
  await main(args);
} catch (error) {
  const { lines, exitCode } = explain(error);
  process.stderr.write(lines.map((line) => `${nameOfWorker(args)}${line}\n`).join(''));
  process.exit(exitCode);
}
