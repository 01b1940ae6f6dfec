/** Publication: the one step that turns a complete, verified upload into content plus a file. */
import { createHash } from 'node:crypto';
import type { DigestSet } from '../../stores/digests/digests.ts';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord, FileRecord, NewFile, RemovedContent, UploadRecord } from '../catalog/catalog.ts';
import type { FileView, Published } from './contract.ts';
import { discard } from './discard.ts';
import { TidemarkError } from './errors.ts';
import { fateOf } from './fate.ts';
import { findMatch, type Match, openUpload, type VerifiedDigests } from './match.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import { typeOfName } from './names.ts';
import type { Parts } from './parts.ts';
import { removeBytes, removeReplaced } from './remove-bytes.ts';
import { withConfiguredDigests } from './shown.ts';
import { fileViewOf } from './views.ts';

/** How often a publication is tried, where others publish the same MD5 meanwhile. */
const ATTEMPTS = 5;
/** The bytes of a larger upload that was folded into a content are removed after the answer, where that is sure to happen. */
const REMOVED_AT_ONCE_BYTES = 32 * 1024 * 1024;
/** Doubles with each of them: another node may be removing what was under the key. */
const DECIDE_AGAIN_MS = 20;

/**
 * Verifies a complete upload and publishes it. Can be repeated at any point: what a
 * crash left half-done is completed.
 *
 * @param upload - its row, with `offset` equal to `size`.
 * @param epoch - of the caller's lease.
 * @param given - digests of its bytes.
 * @throws `digest_mismatch` after the upload was rejected; `upload_taken_over`.
 */
export async function publish(parts: Parts, upload: UploadRecord, epoch: number, given: DigestSet): Promise<Published> {
  const computed = await withDeclaredSha1(parts, upload, given, () => openUpload(parts, { upload, epoch }));
  const mismatch = findMismatch(upload, computed);
  if (mismatch) {
    await reject(parts, upload, epoch);
    throw new TidemarkError('digest_mismatch', {
      field: mismatch,
      message:
        `The bytes have ${mismatch.toUpperCase()} ${computed[mismatch]}, ` +
        `but ${upload[mismatch]} was declared; the upload was rejected and nothing was published.`,
    });
  }
  const { md5 } = computed;
  if (!md5) throw new Error(`upload ${upload.id}: no MD5 was computed`);
  const { removed, ...published } = await parts.contentMutex.run(md5, () =>
    publishVerified(parts, upload, epoch, { ...computed, md5 }),
  );
  await removeReplaced(parts, removed);
  return published;
}

/** A digest that was declared, and is not that of the bytes. */
export function findMismatch(declared: Declared, computed: DigestSet): keyof Declared | undefined {
  return (['md5', 'sha1', 'sha256'] as const).find(
    (algorithm) => declared[algorithm] && computed[algorithm] && declared[algorithm] !== computed[algorithm],
  );
}

type Declared = Pick<UploadRecord, 'md5' | 'sha1' | 'sha256'>;

/**
 * Adds the SHA-1 of an upload that declares one: it is compared before publication, while others get theirs after it.
 *
 * @param open - opens the bytes; null where they are final already: then an earlier attempt has compared the SHA-1.
 */
export async function withDeclaredSha1(
  parts: Parts,
  declared: Declared,
  computed: DigestSet,
  open: () => Promise<Iterable<unknown> | AsyncIterable<unknown> | null>,
): Promise<DigestSet> {
  if (declared.sha1 === null || computed.sha1 || !parts.later.isOn) return computed;
  const bytes = await open();
  if (!bytes) return computed;
  const sha1 = createHash('sha1');
  for await (const chunk of bytes) {
    parts.stopping.throwIfAborted();
    sha1.update(chunk as Uint8Array);
  }
  return { ...computed, sha1: sha1.digest('hex') };
}

async function publishVerified(
  parts: Parts,
  upload: UploadRecord,
  epoch: number,
  computed: VerifiedDigests,
): Promise<Published & { removed: RemovedContent | null }> {
  const { catalog, store } = parts;
  const size = upload.offset;
  const file = newFileOf(parts, upload, computed.md5);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const sameMd5 = await catalog.findContents({ md5: computed.md5 });
    const match = await findMatch(parts, { upload, epoch, computed }, sameMd5);
    const content = match
      ? { id: match.content.id, ...(match.kind === 'damaged' ? await heal(parts, upload, epoch, match.content) : {}) }
      : {
          md5: computed.md5,
          sha1: computed.sha1 ?? null,
          sha256: computed.sha256 ?? null,
          ...(computed.proof === undefined ? {} : { proof: computed.proof }),
          size,
          ...(await finalizeAsNew(parts, upload, epoch, computed.md5, sameMd5)),
        };
    const isTheirs = match !== undefined && (await catalog.ownsContent(upload.owner, match.content.id));
    const wasHere = match?.kind === 'equal' && parts.limits.instant !== 'off' && isTheirs;
    if (match) await addComputed(parts, match, computed);
    const outcome = await catalog.publish({
      uploadId: upload.id,
      epoch,
      content,
      file,
      forgetsStoreState: !store.capabilities.stateNamesBytes,
    });
    if (outcome.kind === 'published') {
      const shown = await showPublished(parts, outcome.file, computed.sha1 !== undefined || isTheirs);
      await cleanUp(parts, upload, outcome.file.content, match ? sameMd5 : null);
      return { file: shown, wasHere, removed: outcome.removed };
    }
    if (outcome.kind === 'lost') throw new TidemarkError('upload_taken_over');
    await parts.surroundings.wait(DECIDE_AGAIN_MS * 2 ** attempt);
  }
  throw new Error(`upload ${upload.id}: others kept publishing MD5 ${computed.md5}`);
}

/** The file that an upload becomes. */
export function newFileOf(
  { surroundings, limits }: Pick<Parts, 'surroundings' | 'limits'>,
  { owner, filename, filetype, onConflict }: Pick<UploadRecord, 'owner' | 'filename' | 'filetype' | 'onConflict'>,
  md5: string,
): NewFile {
  const name = filename ?? md5;
  const replaces = onConflict ? { onConflict, fateOfReplaced: fateOf(limits) } : {};
  return { id: surroundings.newOrderedId(), owner, name, type: filetype ?? typeOfName(name), ...replaces };
}

/**
 * What the owner sees of a file that has just been published. Resolves when the publication survives a power cut.
 *
 * @param knowsSha1 - a SHA-1 of it is known without the help of another owner: computed for this upload, or known to this
 *   owner before.
 */
export async function showPublished(parts: Parts, file: FileRecord, knowsSha1: boolean): Promise<FileView> {
  const isKnown = file.content.sha1 !== null && knowsSha1;
  const isToldAtOnce = isKnown && !parts.later.isPending(file);
  // Before `durable`: from then on the event is sent, and must not show a SHA-1 that is hidden.
  if (!isToldAtOnce) parts.later.note(file);
  // Decided now: by the time that the answer is written, the digest may be computed.
  const shown = withConfiguredDigests(file, parts.limits.digests, () => !isToldAtOnce);
  await parts.catalog.durable();
  return fileViewOf(shown);
}

/** Adds computed digests that an equal content lacks: a new content would have them, so a lack would reveal the other owner. */
async function addComputed(
  { catalog }: Parts,
  { kind, content, known }: Match,
  { sha1, sha256, proof }: VerifiedDigests,
): Promise<void> {
  if (proof !== undefined && proof !== known.proof) await catalog.noteProof(content.id, { proof });
  if (kind !== 'equal') return;
  const lacking = {
    ...(content.sha1 === null && sha1 !== undefined ? { sha1 } : {}),
    ...(content.sha256 === null && sha256 !== undefined ? { sha256 } : {}),
  };
  if (Object.keys(lacking).length > 0) await catalog.addDigests(content.id, lacking);
}

/** Puts the upload's bytes in the place of a content's that are gone or damaged. @returns the key that has them. */
async function heal(
  parts: Parts,
  upload: UploadRecord,
  epoch: number,
  { id: contentId, key }: ContentRecord,
): Promise<{ key: string }> {
  try {
    const healed = { key: await parts.store.heal(upload, key) };
    parts.log.warn({ uploadId: upload.id, contentId, ...healed }, 'bytes of a content are healed by an upload');
    return healed;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'missing') await endWithoutBytes(parts, upload.id, epoch, error);
    throw error;
  }
}

/** Makes the bytes final under the first free variant of their MD5. */
async function finalizeAsNew(
  parts: Parts,
  upload: UploadRecord,
  epoch: number,
  md5: string,
  taken: ContentRecord[],
): Promise<{ variant: number; key: string }> {
  let occupied: string | undefined;
  for (let variant = 0; ; variant++) {
    if (taken.some((content) => content.variant === variant)) continue;
    const key = parts.store.keyFor(upload, { md5, variant });
    try {
      await parts.store.finalize(upload, key);
      return { variant, key };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'missing') await endWithoutBytes(parts, upload.id, epoch, error);
      // Occupied: by the bytes of another upload that were made final before a crash, and are not published yet. Try the
      // next variant. A store may have the same key for all variants: then there is no next one.
      if (error.code !== 'occupied' || key === occupied) throw error;
      occupied = key;
    }
  }
}

/**
 * Removes the upload's own bytes, unless they have become the content's.
 *
 * @param content - what the upload became.
 * @param others - where the upload was folded into an existing content: all contents of its MD5. Then this also removes
 *   what an interrupted attempt made final under a key that no content has, and the bytes that a healed content had
 *   before.
 */
async function cleanUp(
  parts: Parts,
  upload: UploadRecord,
  content: ContentRecord,
  others: ContentRecord[] | null,
): Promise<void> {
  const { store } = parts;
  try {
    // In these stores the publication has forgotten the note already.
    const left = store.capabilities.stateNamesBytes ? upload : { ...upload, storeState: null };
    const removal = discard(parts, left, store.keyFor(upload, content) === content.key ? 'keep' : 'remove');
    // A bucket removes many parts; the row says what is left to be removed, should this process die.
    const isLater = others !== null && upload.offset > REMOVED_AT_ONCE_BYTES && store.capabilities.stateNamesBytes;
    if (isLater) parts.cleaning.note(removal.catch((error: unknown) => reportLeft(parts, upload, error)));
    else await removal;
    if (!others?.[0]) return;
    const before = others.find(({ id }) => id === content.id)?.key ?? content.key;
    if (before !== content.key) await removeBytes(parts, before);
    const { md5 } = content;
    const variants = Math.max(...others.map(({ variant }) => variant)) + 2;
    // A store may have one key for all variants.
    const keys = new Set(Array.from({ length: variants }, (_, variant) => store.keyFor(upload, { md5, variant })));
    for (const key of keys) {
      if (key !== content.key && !others.some((other) => other.key === key)) await store.removeContent(key);
    }
  } catch (error) {
    reportLeft(parts, upload, error);
  }
}

/** The upload is published in any case; a job removes the bytes later. */
function reportLeft({ log }: Parts, { id }: UploadRecord, error: unknown): void {
  log.warn({ uploadId: id, err: error }, 'bytes of a published upload could not be removed yet');
}

async function reject(parts: Parts, upload: UploadRecord, epoch: number): Promise<void> {
  const ended = await parts.catalog.endUpload(upload.id, epoch, 'rejected', 'digest_mismatch');
  if (!ended) throw new TidemarkError('upload_taken_over');
  await parts.catalog.durable();
  await discard(parts, upload, 'remove');
}
