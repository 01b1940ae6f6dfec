/** Runs a service in this process, from its start until a signal. */
import cluster from 'node:cluster';
import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';
import type { Config } from './config/config.ts';
import { startService } from './service.ts';
import { onStopSignals } from './stop-signals.ts';

const DISK_FAILED =
  'the catalog could not be synced to its disk: the service exits, as it reports nothing that is not durable. ' +
  'The next start continues from what is on the disk; if this happens again, check the disk (dmesg)';

const CATALOG_LOST = 'another service has the catalog now: this one exits';

/**
 * Lets V8's old generation grow to so many times its live data. With less, bodies cause constant collections, and so do parts
 * (docs/decisions/0015, 0059).
 */
const ROOM_FOR_GARBAGE = { local: '--heap-growing-percent=100', bucket: '--heap-growing-percent=200' };

/** Starts the service, and stops it on a signal or a failure; then the process exits. */
export async function serve(config: Config, log: Logger, adopt: boolean): Promise<void> {
  const service = await startService(config, log, { adopt });
  // What was compiled at build time belongs to V8's usual flags: so only once all is loaded.
  setFlagsFromString(config.store.kind === 'local' ? ROOM_FOR_GARBAGE.local : ROOM_FOR_GARBAGE.bucket);
  log.info(
    { publicUrl: config.publicUrl, dataDir: config.dataDir, store: config.store.kind },
    `tidemark listens on ${service.localUrl}`,
  );
  if (tellsOfStrangers(config)) {
    log.warn(
      'DOWNLOAD=redirect: an address in the bucket shows an owner whether another one stored the same bytes before',
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

  async function stop(reason: string): Promise<void> {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, 'stopping');
    await service.stop();
    log.info('stopped');
    process.exit(0);
  }
  stopWhenTold(
    () => stopping,
    (reason) => {
      stop(reason).catch((error: unknown) => {
        log.fatal({ err: error }, 'the stop failed');
        process.exit(1);
      });
    },
  );
}

/** Calls `stop` on a signal and, in a worker, when its parent has gone. */
function stopWhenTold(isStopping: () => boolean, stop: (reason: string) => void): void {
  const { worker } = cluster;
  onStopSignals((signal) => {
    // A second signal: the operator does not want to wait. A worker stops on SIGTERM, which its parent sends. It may get
    // other signals at the same time: a terminal sends SIGINT to all of its processes, and systemd a signal to all of a unit.
    if (worker === undefined && isStopping()) process.exit(1);
    if (worker === undefined || signal === 'SIGTERM') stop(signal);
  });
  worker?.on('disconnect', () => {
    // Otherwise Node exits the process at once.
    worker.exitedAfterDisconnect = true;
    stop('the parent is gone');
  });
}

/** Whether redirects can show one owner what another has stored. See docs/decisions/0026-what-strangers-learn.md. */
function tellsOfStrangers({ download, access }: Config): boolean {
  const owners = new Set(access.tokens.map(({ owner }) => owner));
  return download.mode === 'redirect' && owners.size > 1 && access.instant !== 'all';
}
