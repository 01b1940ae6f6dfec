/**
 * The composition root: turns a Config into a running service. Only this file, service-places.ts and service-parts.ts put
 * parts together.
 */
import type { Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { readDescriptorLimit } from '../stores/descriptors.ts';
import type { Store } from '../stores/store.ts';
import type { StoreSettings } from '../stores/stores.ts';
import { type Surroundings, SYSTEM } from '../stores/surroundings.ts';
import type { CatalogError } from './catalog/catalog.ts';
import type { Config } from './config/config.ts';
import { createApp } from './http/app.ts';
import { countAffordableRequests, createConnections } from './http/connections.ts';
import { closeServer, listen } from './http/listen.ts';
import { createHttpServer } from './http/server.ts';
import { loadWebPage } from './http/web-page.ts';
import { createJobs, runJobs } from './jobs/jobs.ts';
import { removeLeftContents } from './jobs/removals.ts';
import { keepAlive } from './leases/heartbeat.ts';
import { lookForEvents } from './outbox/far-events.ts';
import type { Links } from './links/contract.ts';
import type { Feed } from './outbox/feed.ts';
import { createLife, type Life, openParts } from './service-parts.ts';
import { type Closers, openPlaces, type Places } from './service-places.ts';
import { describeFile } from './http/file-json.ts';
import { conflictParam, nameParam } from './http/labels.ts';
import { createMount } from './protocols/mount.ts';
import { createRufhEndpoint } from './protocols/rufh/endpoint.ts';
import { stateHeaders } from './protocols/tus/concatenation.ts';
import { createTusEndpoint } from './protocols/tus/endpoint.ts';
import { TUS_VERSION } from './protocols/tus/protocol.ts';
import { TidemarkError } from './uploads/errors.ts';
import type { Parts } from './uploads/parts.ts';

/** How long the service waits for its jobs when it stops. */
const JOBS_GRACE_MS = 1000;
/** In this time, a service can restart. */
const RETRY_AFTER_MS = 5_000;

/** Where the build leaves the page, beside the compiled service. */
const WEB_FOLDER = fileURLToPath(new URL('../client/web/', import.meta.url));

export interface Service {
  /** The address on which it listens, e.g. `http://127.0.0.1:8080`. */
  readonly localUrl: string;
  /** Resolves with the reason when the service has to be stopped, and the process has to exit. */
  readonly failed: Promise<CatalogError>;
  /**
   * Stops in order: new uploads are refused; running ones commit what they have and answer;
   * connections close; then catalog and store close. Takes at most `SHUTDOWN_TIMEOUT`, and
   * the time to close the catalog.
   */
  stop(): Promise<void>;
}

export interface Overrides {
  /** `--adopt`: the catalog and the place of the files belong together from now on. */
  adopt?: boolean;
  /** For tests: false, so that no job changes what a request is meant to find. */
  jobs?: boolean;
  /** For tests: time, timers and randomness. Connections and the log use the machine's. */
  surroundings?: Surroundings;
  /** For tests: opens another store than the configured one. */
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
  const opened: Closers = [];
  const stopping = new AbortController();
  let onFailure: (error: CatalogError) => void = () => undefined;
  const failed = new Promise<CatalogError>((resolve) => (onFailure = resolve));

  try {
    const places = await openPlaces(config, log, { adopt, surroundings, openOtherStore, onFailure }, opened);
    const options = { config, log, surroundings, stopping: stopping.signal };
    const { parts, feed, links } = await openParts(options, places, opened);
    const life = createLife(parts);
    const heartbeat = beat({ parts, places, life }, onFailure);
    await removeLeftContents({ ...parts, ...life });
    const { server, localUrl } = await openServer({ config, log, places, parts, feed, links, life });
    const listening = places.catalog.isShared ? lookForEvents({ ...parts, feed }) : undefined;
    const working = Promise.all([heartbeat, listening, jobs ? work({ config, parts, life }) : undefined]);
    // Work that is still running after the grace time ends with its calls of the store, which end when the store closes.
    opened.push(() =>
      Promise.race([
        Promise.all([working, life.finals.settled(), parts.cleaning.settled()]),
        surroundings.wait(JOBS_GRACE_MS, { ref: false }),
      ]),
    );

    return {
      localUrl,
      failed,
      stop: async () => {
        stopping.abort(new TidemarkError('shutting_down', { retryAfterMs: RETRY_AFTER_MS }));
        await closeServer(server, config.shutdownTimeoutMs, log);
        await closeAll(opened, log);
      },
    };
  } catch (error) {
    await closeAll(opened, log);
    throw error;
  }
}

async function closeAll(opened: Closers, log: Logger): Promise<void> {
  for (const close of opened.splice(0).toReversed()) {
    await close().catch((error: unknown) => {
      log.error({ err: error }, 'closing failed');
    });
  }
}

interface ServerParts {
  config: Config;
  log: Logger;
  places: Places;
  parts: Parts;
  feed: Feed;
  links: Links;
  life: Life;
}

/** Creates the edges over the domain, and listens. */
async function openServer(options: ServerParts): Promise<{ server: Server; localUrl: string }> {
  const { config, log, places, parts, feed, links, life } = options;
  const { catalog, store } = places;
  const { uploads, files, folders, trash, archives, quotas } = life;
  const { stopping } = parts;
  const { tus, rufh } = createEndpoints(options);
  const filesOrigin = await originOfFiles(config, store);
  const app = createApp({
    config,
    clock: catalog.clock,
    uploads,
    files,
    folders,
    trash,
    quotas,
    archives,
    links,
    filesOrigin,
    feed,
    stopping,
    web: await loadWebPage(WEB_FOLDER, filesOrigin),
    log,
    listening: () => localUrl,
    protocolOf: createMount({ tus, rufh: rufh.onUploads, announced: rufh.announced }),
    rawUpload: rufh.onTarget,
    announced: rufh.announced,
    tusVersion: TUS_VERSION,
    tusState: (upload) => Object.fromEntries(stateHeaders(upload)),
    ready: () => checkReadiness({ catalog: () => catalog.ping(), store: () => store.probe() }),
    closing: () => (stopping.aborted ? (stopping.reason as TidemarkError) : undefined),
  });
  const server = createHttpServer({
    answer: app.callback(),
    onConnection: () => uploads.markConnection(),
    idleTimeoutMs: config.idleTimeoutMs,
    connections: createConnections(countAffordableRequests(readDescriptorLimit()), log),
    log,
  });
  const localUrl = await listen(server, config.listen, config.port, log);
  return { server, localUrl };
}

/** Creates the endpoints of the upload protocols. */
function createEndpoints({ config, places, parts, life }: ServerParts) {
  const { uploads, files } = life;
  const { surroundings } = parts;
  const { maxFileSizeBytes, maxAppendBytes, uploadTtlMs, digests } = config;
  const newId = (): string => surroundings.newId();
  return {
    tus: createTusEndpoint({
      uploads,
      fileOf: (id, owner) => files.get(id, owner),
      capabilities: places.store.capabilities,
      maxFileSizeBytes,
      newId,
      turn: () => surroundings.turn(),
    }),
    rufh: createRufhEndpoint({
      uploads,
      files,
      limits: { maxFileSizeBytes, maxAppendBytes, uploadTtlMs },
      digests,
      newId,
      elapsedMs: () => surroundings.elapsedMs(),
      nameInQuery: (ctx) => nameParam(ctx, 'name'),
      onConflictInQuery: conflictParam,
      describeFile,
    }),
  };
}

/** Runs the node's heartbeat until the service stops. */
function beat(
  { parts, places, life }: Pick<ServerParts, 'parts' | 'places' | 'life'>,
  onFailure: (error: CatalogError) => void,
): Promise<void> {
  const { leases, surroundings, log, stopping } = parts;
  return keepAlive({
    catalog: places.catalog,
    node: leases.node,
    rejoin: () => places.membership.rejoin(),
    onRefused: onFailure,
    surroundings,
    log,
    stopping,
    onBeat: async () => {
      await leases.takeAsks();
      await leases.giveBackLeft();
      await life.writers.noteArrivals();
    },
    onLate: () => leases.loseAll(),
  });
}

/**
 * The jobs, until the service stops. Where other processes run them, this one still completes the digests of what it
 * published, as its own requests wait for those.
 */
async function work({ config, parts, life }: Pick<ServerParts, 'config' | 'parts' | 'life'>): Promise<void> {
  const isWorker = config.services.includes('worker');
  await Promise.all([
    isWorker ? runJobs(createJobs({ ...parts, ...life }), parts) : undefined,
    parts.later.run(() => life.writers.isReceiving()),
  ]);
}

/** The origin to which `DOWNLOAD=redirect` redirects downloads; null where the service delivers the bytes itself. */
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
