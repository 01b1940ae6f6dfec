/** The composition root: a Config -> a running service. The only place where parts meet. */
import { setMaxListeners } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { readDescriptorLimit } from '../stores/descriptors.ts';
import { createDigestPool } from '../stores/digests/pool.ts';
import type { Store } from '../stores/store.ts';
import { openStore, placeOf, type StoreSettings } from '../stores/stores.ts';
import { type Surroundings, SYSTEM } from '../stores/surroundings.ts';
import { bindPlace, refuseForeignPlace } from './belonging.ts';
import type { CatalogError } from './catalog/catalog.ts';
import { closedCatalog, openCatalog } from './catalog/catalogs.ts';
import type { Config } from './config/config.ts';
import { createApp } from './http/app.ts';
import { countAffordableRequests, createConnections } from './http/connections.ts';
import { createHttpServer } from './http/server.ts';
import { loadWebPage } from './http/web-page.ts';
import { makeFolder } from './make-folder.ts';
import { createLaterDigests } from './jobs/digests.ts';
import { createJobs, runJobs } from './jobs/jobs.ts';
import { removeLeftContents } from './jobs/removals.ts';
import { createLeases } from './leases/create-leases.ts';
import { keepAlive } from './leases/heartbeat.ts';
import { createProcessWake } from './leases/wake.ts';
import { createCursors } from './outbox/cursor.ts';
import { createFeed } from './outbox/feed.ts';
import { withWakes } from './outbox/with-wakes.ts';
import { startClock } from './start-clock.ts';
import { createTusEndpoint } from './tus/endpoint.ts';
import { TUS_VERSION } from './tus/protocol.ts';
import { createCheck } from './uploads/check.ts';
import { withDurableAnswers } from './uploads/durable-answers.ts';
import { TidemarkError } from './uploads/errors.ts';
import { createFileActions, createFiles } from './uploads/files.ts';
import { createKeyedMutex } from './uploads/keyed-mutex.ts';
import { tighten } from './private-files.ts';
import { NOTHING_LATER } from './uploads/later-digests.ts';
import type { Parts } from './uploads/parts.ts';
import { createRecovery } from './uploads/recovery.ts';
import { withConfiguredDigests } from './uploads/shown.ts';
import { createFindUnfinished } from './uploads/unfinished.ts';
import { createUploads } from './uploads/uploads.ts';
import { createWriters } from './uploads/writers.ts';

/** What jobs may take to end when the service stops. */
const JOBS_GRACE_MS = 1000;

/** Where the build leaves the page, beside the compiled service. */
const WEB_FOLDER = fileURLToPath(new URL('../client/web/', import.meta.url));

export interface Service {
  /** Where it listens, e.g. `http://127.0.0.1:8080`. */
  readonly localUrl: string;
  /** Resolves, with the reason, when the service must be stopped and the process end. */
  readonly failed: Promise<CatalogError>;
  /**
   * Stops in order: no new uploads; running ones commit what they have and answer;
   * connections close; then catalog and store. Never takes longer than
   * `SHUTDOWN_TIMEOUT` plus what closing the catalog takes.
   */
  stop(): Promise<void>;
}

export interface Overrides {
  /** The catalog and the folder of the files belong together from now on. */
  adopt?: boolean;
  /** False, in tests: no job runs, so that a request can come first. */
  jobs?: boolean;
  /** In tests: time, timers and chance. Connections keep the machine's, and so does the log. */
  surroundings?: Surroundings;
  /** In tests: opens another store than the one that is configured. */
  openOtherStore?: (settings: StoreSettings) => Promise<Store>;
}

/**
 * Opens everything and listens.
 *
 * @throws CatalogError, StoreError or the listening error of the socket.
 */
export async function startService(
  config: Config,
  log: Logger,
  { adopt = false, jobs = true, surroundings = SYSTEM, openOtherStore }: Overrides = {},
): Promise<Service> {
  // Disposed in reverse order, also when a later part fails to open.
  const opened: (() => Promise<unknown>)[] = [];
  async function dispose(): Promise<void> {
    for (const close of opened.splice(0).toReversed()) {
      await close().catch((error: unknown) => {
        log.error({ err: error }, 'closing failed');
      });
    }
  }

  try {
    await makeFolder(config.dataDir);
    await makeFolder(dirname(config.database.file));
    const belonging = { known: closedCatalog(config.database), adopt, log };
    const seen = openOtherStore
      ? undefined
      : await refuseForeignPlace(await placeOf(config.store, config.dataDir), belonging);
    let fail: (error: CatalogError) => void = () => undefined;
    const failed = new Promise<CatalogError>((resolve) => (fail = resolve));
    const catalog = await openCatalog(config.database, {
      onFailure: fail,
      now: () => surroundings.elapsedMs(),
      adopt,
      tell: (found) => log.warn(found),
    });
    opened.push(() => catalog.close());
    const clock = await startClock(config, catalog, log, surroundings);
    // For the next start; a catalog that cannot take it has its reasons told elsewhere.
    opened.push(() => catalog.setMeta('clock', clock.keep()).catch(() => undefined));
    const openConfigured = (settings: StoreSettings): Promise<Store> => openStore(config.store, settings);
    const store = await (openOtherStore ?? openConfigured)({
      dataDir: config.dataDir,
      ledger: { parts: (id) => catalog.listParts(id), durable: () => catalog.durable() },
      now: () => clock.earliest(),
      surroundings,
    });
    opened.push(() => store.close());
    if (store.place) await bindPlace(catalog, store.place, { ...belonging, seen });
    // Known to be ours by now: what a mistyped setting names is left as it is.
    await tighten(config.dataDir, config.database.file, log);
    // SHA-1 would halve the speed of a stream: it comes later.
    const digests = createDigestPool(config.digests.filter((algorithm) => algorithm !== 'sha1'));
    opened.push(() => digests.close());
    const node = surroundings.newId();
    await catalog.joinNode(node);
    opened.push(() => catalog.leaveNode(node).catch(() => undefined));
    const leases = createLeases({ catalog, node, wake: createProcessWake(), surroundings, log });
    opened.push(() => leases.close());

    const stopping = new AbortController();
    // Every running transfer listens to it.
    setMaxListeners(0, stopping.signal);
    const later = config.digests.includes('sha1')
      ? createLaterDigests({ catalog, store, log, leases, surroundings, stopping: stopping.signal })
      : NOTHING_LATER;
    const feed = createFeed({
      catalog,
      cursors: createCursors(await catalog.eventSecret()),
      show: (file) => withConfiguredDigests(file, config.digests, later.isPending),
    });
    const parts: Parts = {
      catalog: withWakes(catalog, (owner) => feed.wake(owner)),
      store,
      leases,
      clock,
      surroundings,
      digests,
      log,
      limits: {
        maxFileSizeBytes: config.maxFileSizeBytes,
        uploadTtlMs: config.uploadTtlMs,
        lockTimeoutMs: config.lockTimeoutMs,
        maxOpenUploads: config.maxOpenUploads,
        instant: config.access.instant,
        digests: config.digests,
        addressLifeMs: config.download.mode === 'redirect' ? config.download.presignTtlMs : null,
      },
      later,
      contentMutex: createKeyedMutex(),
      stopping: stopping.signal,
    };
    const fileActions = createFileActions(parts);
    const writers = createWriters(parts, (id, owner) => fileActions.remove(id, owner));
    const recovery = createRecovery(parts, writers);
    const plainUploads = createUploads(parts, writers, recovery);
    const plainFiles = createFiles(
      parts,
      fileActions,
      createCheck(parts, createFindUnfinished(parts, writers, plainUploads)),
    );
    const { uploads, files } = withDurableAnswers({ uploads: plainUploads, files: plainFiles }, catalog);
    const jobParts = { ...parts, writers, recovery };
    await removeLeftContents(jobParts);

    const app = createApp({
      config,
      clock,
      uploads,
      files,
      feed,
      stopping: stopping.signal,
      web: await loadWebPage(WEB_FOLDER, await originOfFiles(config, store)),
      log,
      listening: () => localUrl,
      tus: createTusEndpoint({
        uploads,
        fileOf: (id, owner) => files.get(id, owner),
        capabilities: store.capabilities,
        maxFileSizeBytes: config.maxFileSizeBytes,
        clock,
        newId: () => surroundings.newId(),
      }),
      tusVersion: TUS_VERSION,
      ready: () => checkReadiness({ catalog: () => catalog.ping(), store: () => store.probe() }),
      closing: () => (stopping.signal.aborted ? (stopping.signal.reason as TidemarkError) : undefined),
    });
    const server = createHttpServer({
      answer: app.callback(),
      onConnection: () => uploads.markConnection(),
      idleTimeoutMs: config.idleTimeoutMs,
      connections: createConnections(countAffordableRequests(readDescriptorLimit()), log),
      log,
    });
    const port = await listen(server, config);
    server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted'));
    const localUrl = `http://${bracketed(config.listen)}:${port}`;
    const heartbeat = keepAlive({
      catalog,
      node,
      surroundings,
      log,
      stopping: stopping.signal,
      onBeat: () => writers.noteArrivals(),
      onLate: () => leases.loseAll(),
    });
    const working = jobs ? Promise.all([runJobs(createJobs(jobParts), parts), later.run(), heartbeat]) : heartbeat;
    // It ends with the store's calls at the latest, which end when the store is closed.
    opened.push(() => Promise.race([working, surroundings.wait(JOBS_GRACE_MS, { ref: false })]));

    return {
      localUrl,
      failed,
      stop: async () => {
        stopping.abort(new TidemarkError('shutting_down', { headers: { 'Retry-After': '5' } }));
        await closeServer(server, config.shutdownTimeoutMs, log);
        await dispose();
      },
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Where downloads are sent to by `DOWNLOAD=redirect`; null where the service sends the bytes. */
async function originOfFiles({ download }: Config, store: Store): Promise<string | null> {
  if (download.mode !== 'redirect') return null;
  const options = { type: 'application/octet-stream', disposition: 'inline', lifeMs: download.presignTtlMs };
  return new URL(await store.addressOf('any', options)).origin;
}

async function checkReadiness(
  checks: Record<string, () => Promise<void>>,
): Promise<{ ok: boolean; checks: Record<string, string> }> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        await check();
        return [name, 'ok'] as const;
      } catch (error) {
        return [name, error instanceof Error ? error.message : 'failed'] as const;
      }
    }),
  );
  return { ok: results.every(([, result]) => result === 'ok'), checks: Object.fromEntries(results) };
}

function listen(server: Server, config: Config): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.listen, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Waits for the requests under way, then, at the time limit, cuts what is left. */
function closeServer(server: Server, timeoutMs: number, log: Logger): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      log.warn('requests still open at the shutdown time limit were cut');
      server.closeAllConnections();
    }, timeoutMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
    // A connection whose request ends from now on is not kept for another one.
    server.keepAliveTimeout = 1;
  });
}

/** An IPv6 address as it stands in a URL. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
