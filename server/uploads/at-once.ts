/**
 * Uploads whose bytes are all here before anything of them is stored: small ones that come in one request. They are stored
 * under their final name at once, and become a file in one transaction. So there is nothing that another request could
 * see of them, or that a crash could leave half-done: they need no lease, no ledger and no recovery. See docs/decisions/0055.
 *
 * Only where it is as simple as that. Else these functions have changed nothing and return undefined, and the upload goes the
 * way of all others: bytes that are here already, digests that were declared and are not theirs, a writer of the same upload.
 */
import { StoreError, type StoredUpload } from '../../stores/store.ts';
import type { NewContent, NewFile, Placed, UploadRecord } from '../catalog/catalog.ts';
import { refuseToBegin, tooManyUploads } from './begin.ts';
import type { BeginRequest, Declaration, FileView, Uploads } from './contract.ts';
import { TidemarkError } from './errors.ts';
import type { VerifiedDigests } from './match.ts';
import type { Parts } from './parts.ts';
import { removeReplaced } from './remove-bytes.ts';
import { findMismatch, newFileOf, showPublished, withDeclaredSha1 } from './publish.ts';
import { translated } from './translate.ts';
import type { Writers } from './writers.ts';

/** Creates the two ways to such an upload; see `Uploads`. */
export function createAtOnce(
  parts: Parts,
  writers: Pick<Writers, 'atOnce'>,
): Pick<Uploads, 'createAtOnce' | 'completeAtOnce'> {
  const { catalog, store, leases, limits } = parts;
  // In a catalog that nodes share, each step of the transaction would be a message, and other nodes see leases in rows alone.
  const isOn = store.capabilities.atOnce && !catalog.isShared;

  async function create(request: BeginRequest, bytes: Uint8Array): Promise<FileView | undefined> {
    const { id, owner, declaration } = request;
    if (!isOn || declaration.size !== bytes.length) return undefined;
    refuseToBegin(parts, request);
    const upload = { ...declaration, size: bytes.length, id, owner, holder: leases.node, lifeMs: limits.uploadTtlMs };
    return storeAndPublish(parts, upload, bytes, async (content, file) => {
      const outcome = await catalog.publishAtOnce({ upload, content, file }, limits.maxOpenUploads);
      if (outcome.kind === 'too_many') throw tooManyUploads();
      return outcome.kind === 'published' ? outcome : undefined;
    });
  }

  async function complete(id: string, owner: string, bytes: Uint8Array): Promise<FileView | undefined> {
    const release = isOn ? leases.keepOthersOut(id) : undefined;
    if (!release) return undefined;
    try {
      const row = await catalog.findUpload(id);
      if (row?.owner !== owner || row.size !== bytes.length || !isUntouched(row)) return undefined;
      if (leases.needsRecovery(row)) return undefined;
      return await storeAndPublish(parts, row, bytes, async (content, file) => {
        const { epoch } = row;
        const outcome = await catalog.publish({ uploadId: id, epoch, content, file, forgetsStoreState: true });
        if (outcome.kind === 'lost') throw new TidemarkError('upload_taken_over');
        return outcome.kind === 'published' ? outcome : undefined;
      });
    } finally {
      release();
    }
  }

  return {
    createAtOnce: (request, bytes) => translated(() => writers.atOnce(() => create(request, bytes))),
    completeAtOnce: (id, owner, bytes) => translated(() => writers.atOnce(() => complete(id, owner, bytes))),
  };
}

/**
 * Whether it is a receiving upload to which no request has written. One that broke off before its first byte has left an
 * unfinished file, which the other way removes.
 */
function isUntouched({ state, kind, offset, phase, leftMs, epoch, snapshot }: UploadRecord): boolean {
  const hasBegun = offset > 0 || epoch > 1 || snapshot !== null;
  return state === 'receiving' && kind === 'file' && !hasBegun && phase === null && leftMs > 0;
}

/** An upload, as far as its file depends on it. */
type Whole = Declaration & Pick<UploadRecord, 'id' | 'owner'>;

/**
 * Stores the bytes of an upload under the key of a new content, and publishes them.
 *
 * @param record - publishes in the catalog; undefined where another content took the key, or its MD5, first.
 */
async function storeAndPublish(
  parts: Parts,
  upload: Whole,
  bytes: Uint8Array,
  record: (content: NewContent, file: NewFile) => Promise<Placed | undefined>,
): Promise<FileView | undefined> {
  const digests = await digestsOf(parts, upload, bytes);
  if (!digests) return undefined;
  const { md5, sha1 = null, sha256 = null, proof } = digests;
  const published = await parts.contentMutex.run(md5, async () => {
    if ((await parts.catalog.findContents({ md5 })).length > 0) return undefined;
    const stored: StoredUpload = { ...upload, size: bytes.length, offset: 0, snapshot: null, storeState: null };
    const key = parts.store.keyFor(stored, { md5, variant: 0 });
    const known = proof === undefined ? {} : { proof };
    const content = { md5, sha1, sha256, ...known, size: bytes.length, variant: 0, key };
    if (!(await isStored(parts, stored, key, bytes))) return undefined;
    const placed = await recordOrRemove(parts, key, () => record(content, newFileOf(parts, upload, md5)));
    return placed && { file: await showPublished(parts, placed.file, sha1 !== null), removed: placed.removed };
  });
  await removeReplaced(parts, published?.removed ?? null);
  return published?.file;
}

/** The digests of the bytes; undefined where others were declared. */
async function digestsOf(parts: Parts, upload: Whole, bytes: Uint8Array): Promise<VerifiedDigests | undefined> {
  const lane = parts.digests.open(null);
  try {
    await lane.update([bytes]);
    const computed = await withDeclaredSha1(parts, upload, await lane.digests(), async () => [bytes]);
    const { md5 } = computed;
    return md5 === undefined || findMismatch(upload, computed) ? undefined : { ...computed, md5 };
  } finally {
    lane.close();
  }
}

/** @returns false where something is under the key: of an interrupted publication, which the other way makes use of. */
async function isStored({ store }: Parts, upload: StoredUpload, key: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await store.storeAtOnce(upload, key, [bytes]);
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'occupied') return false;
    throw error;
  }
}

/** Records the publication of the bytes under a key; removes them where it was not recorded. */
async function recordOrRemove(
  { catalog, store, log }: Parts,
  key: string,
  record: () => Promise<Placed | undefined>,
): Promise<Placed | undefined> {
  let placed: Placed | undefined;
  try {
    return (placed = await record());
  } finally {
    // After an error it may have been recorded all the same.
    if (!placed && !(await catalog.filterKeys([key]).catch(() => new Set([key]))).has(key)) {
      await store.removeContent(key).catch((error: unknown) => {
        log.warn({ key, err: error }, 'bytes that no content has could not be removed');
      });
    }
  }
}
