/** The service's entry: environment -> configuration -> service, until a signal. */
import { setFlagsFromString } from 'node:v8';
import { CatalogError } from './catalog/catalog.ts';
import { StoreError } from '../stores/store.ts';
import type { Config } from './config/config.ts';
import { readEnv } from './config/env.ts';
import { parseConfig } from './config/parse.ts';
import { ConfigError } from './config/problems.ts';
import { createLog } from './log.ts';
import { makeFilesPrivate } from './private-files.ts';
import { startService } from './service.ts';

/** sysexits(3): EX_CONFIG. */
const EXIT_CONFIG = 78;

const DISK_FAILED =
  'the catalog could not be synced to its disk: the service ends, as it tells nothing that is not durable. ' +
  'Started again it goes on from what is there; if this comes again, look at the disk (dmesg)';

const CATALOG_LOST = 'another service has the catalog now: this one ends';

/** V8's limit of the old generation: three times of what is alive in it; else parts and bodies keep it collecting (docs/decisions/0015). */
const ROOM_FOR_GARBAGE = '--heap-growing-percent=200';

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.find((argument) => argument !== '--adopt');
  if (unknown !== undefined) {
    throw new ConfigError([{ variable: unknown, message: 'is not known here; there is only --adopt' }]);
  }
  makeFilesPrivate();
  const config = parseConfig(readEnv());
  if (config.store.kind !== 'local') setFlagsFromString(ROOM_FOR_GARBAGE);
  const log = createLog(config.logLevel);
  const service = await startService(config, log, { adopt: args.includes('--adopt') });
  log.info(
    { publicUrl: config.publicUrl, dataDir: config.dataDir, store: config.store.kind },
    `tidemark listens on ${service.localUrl}`,
  );
  if (tellsOfStrangers(config)) {
    log.warn(
      'DOWNLOAD=redirect: an address in the bucket tells an owner whether another one stored the same bytes before',
    );
  }

  let stopping = false;
  service.failed
    .then(async (error) => {
      log.fatal({ err: error }, config.database.kind === 'sqlite' ? DISK_FAILED : CATALOG_LOST);
      stopping = true;
      await service.stop();
    })
    .catch((error: unknown) => log.error({ err: error }, 'the stop failed'))
    .finally(() => process.exit(1));

  async function stop(signal: NodeJS.Signals): Promise<void> {
    // Asked twice: the operator does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    await service.stop();
    log.info('stopped');
    process.exit(0);
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      stop(signal).catch((error: unknown) => {
        log.fatal({ err: error }, 'the stop failed');
        process.exit(1);
      });
    });
  }
}

/** See docs/decisions/0026-what-strangers-learn.md. */
function tellsOfStrangers({ download, access }: Config): boolean {
  const owners = new Set(access.tokens.map(({ owner }) => owner));
  return download.mode === 'redirect' && owners.size > 1 && access.instant !== 'all';
}

/** What the operator is told: a sentence per problem, never a stack trace. */
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

try {
  await main(process.argv.slice(2));
} catch (error) {
  const { lines, exitCode } = explain(error);
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(exitCode);
}
