/** Creates the parts of a service over its open catalog and store: leases, the domain, events. */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import { createDigestPool } from '../stores/digests/pool.ts';
import type { Surroundings } from '../stores/surroundings.ts';
import type { Config } from './config/config.ts';
import { NO_QUOTA } from './catalog/quotas.ts';
import { quotasOf } from './config/quotas.ts';
import { createLaterDigests } from './jobs/digests.ts';
import { createLeases } from './leases/create-leases.ts';
import { createNoticeWake } from './leases/notice-wake.ts';
import { createProcessWake } from './leases/wake.ts';
import type { Links } from './links/contract.ts';
import { createLinks } from './links/links.ts';
import { openNotices } from './catalog/catalogs.ts';
import { createCursors } from './outbox/cursor.ts';
import { shareWakes } from './outbox/far-events.ts';
import { createFeed, type Feed } from './outbox/feed.ts';
import { withWakes } from './outbox/with-wakes.ts';
import type { Closers, Places } from './service-places.ts';
import { createArchives } from './uploads/archives.ts';
import { createCheck } from './uploads/check.ts';
import { createCleaning } from './uploads/cleaning.ts';
import type { Archives, Files, Folders, Uploads } from './uploads/contract.ts';
import { withDurableAnswers } from './uploads/durable-answers.ts';
import { createFileActions, createFiles } from './uploads/files.ts';
import { createFinals, type Finals } from './uploads/finals.ts';
import { createFolders } from './uploads/folders.ts';
import { createKeyedMutex } from './uploads/keyed-mutex.ts';
import { NOTHING_LATER } from './uploads/later-digests.ts';
import type { Limits, Parts } from './uploads/parts.ts';
import { createPossession } from './uploads/possession.ts';
import { createQuotas, type Quotas } from './uploads/quotas.ts';
import { createRecovery, type Recovery } from './uploads/recovery.ts';
import { createShown, withConfiguredDigests } from './uploads/shown.ts';
import { createSha256Of } from './uploads/stored-sha256.ts';
import { createTrash } from './uploads/trash.ts';
import type { Trash } from './uploads/trash-contract.ts';
import { createFindUnfinished } from './uploads/unfinished.ts';
import { createUploads } from './uploads/uploads.ts';
import { createWriters, type Writers } from './uploads/writers.ts';

/** Of a catalog that has none yet: as many as AES-256 takes. */
const SECRET_BYTES = 32;

/** What the parts of a service need from outside. */
export interface PartsOptions {
  config: Config;
  log: Logger;
  surroundings: Surroundings;
  /** Aborted when the service begins to stop. */
  stopping: AbortSignal;
}

/** Opens the parts on which the domain depends. */
export async function openParts(
  { config, log, surroundings, stopping }: PartsOptions,
  { catalog, membership, store }: Places,
  opened: Closers,
): Promise<{ parts: Parts; feed: Feed; links: Links }> {
  // Beside MD5, SHA-1 would halve the speed of a stream: jobs compute it later.
  const secret = await catalog.proofSecret(randomBytes(SECRET_BYTES).toString('hex'));
  const digests = createDigestPool(
    config.digests.filter((algorithm) => algorithm !== 'sha1'),
    undefined,
    secret,
  );
  opened.push(() => digests.close());
  const notices = await openNotices(config.database, { tell: (found) => log.warn(found) });
  if (notices) opened.push(() => notices.close());
  const wake = notices ? createNoticeWake(notices) : createProcessWake();
  const leases = createLeases({ catalog, node: membership.id, wake, surroundings, log });
  opened.push(() => leases.close());

  // Every running transfer listens to it.
  setMaxListeners(0, stopping);
  const later = config.digests.includes('sha1')
    ? createLaterDigests(
        { catalog, store, log, leases, surroundings, stopping },
        { takesOlder: config.services.includes('worker') },
      )
    : NOTHING_LATER;
  const feed = createFeed({
    catalog,
    cursors: createCursors(await catalog.eventSecret()),
    show: (file) => withConfiguredDigests(file, config.digests, later.isPending),
  });
  const links = createLinks({ catalog, surroundings }, await catalog.eventSecret());
  const parts: Parts = {
    catalog: withWakes(catalog, notices ? shareWakes(feed, notices) : (owner) => feed.wake(owner)),
    store,
    leases,
    surroundings,
    secret,
    digests,
    log,
    limits: limitsOf(config),
    cleaning: createCleaning(),
    later,
    contentMutex: createKeyedMutex(),
    stopping,
  };
  return { parts, feed, links };
}

function limitsOf({
  maxFileSizeBytes,
  uploadTtlMs,
  trashTtlMs,
  lockTimeoutMs,
  maxOpenUploads,
  quotas,
  access,
  digests,
  download,
}: Config): Limits {
  return {
    maxFileSizeBytes,
    uploadTtlMs,
    trashTtlMs,
    lockTimeoutMs,
    maxOpenUploads,
    quotaOf: quotasOf(quotas) ?? (() => NO_QUOTA),
    // Without tokens all askers are one owner.
    instant: access.instant === 'all' && access.tokens.length === 0 ? 'owner' : access.instant,
    digests,
    addressLifeMs: download.mode === 'redirect' ? download.presignTtlMs : null,
  };
}

/** The domain, uploads, files, folders, trash and archives, for the service's edges and its jobs. */
export interface Life {
  uploads: Uploads;
  files: Files;
  folders: Folders;
  trash: Trash;
  archives: Archives;
  quotas: Quotas;
  writers: Writers;
  recovery: Recovery;
  finals: Finals;
}

/** Creates the domain over the open parts. */
export function createLife(parts: Parts): Life {
  const fileActions = createFileActions(parts);
  const writers = createWriters(parts, (id, owner) => fileActions.remove(id, owner));
  const recovery = createRecovery(parts, writers);
  const finals = createFinals(parts, writers);
  const uploads = createUploads(parts, writers, recovery, finals);
  const sha256Of = createSha256Of(parts);
  const possession = createPossession(parts, sha256Of);
  const findUnfinished = createFindUnfinished(parts, writers, uploads);
  const check = createCheck(parts, { findUnfinished, sha256Of, possession });
  const shown = createShown(parts);
  const files = createFiles(parts, fileActions, { check, possession, shown });
  const folders = createFolders(parts, shown.told);
  const trash = createTrash(parts, shown.told);
  const archives = createArchives(parts, files);
  const answering = withDurableAnswers(
    { uploads, files, folders, trash, archives, quotas: createQuotas(parts) },
    parts.catalog,
  );
  return { ...answering, writers, recovery, finals };
}
