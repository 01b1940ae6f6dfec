/** Publication: the one step that turns a complete, verified upload into content plus a file. */
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { DigestSet } from '../../stores/digests/digests.ts';
import { equalStreams } from '../../stores/equal-streams.ts';
import { StoreError } from '../../stores/store.ts';
import type { ContentRecord, Publication, UploadRecord } from '../catalog/catalog.ts';
import type { Published } from './contract.ts';
import { discard } from './discard.ts';
import { TidemarkError } from './errors.ts';
import { endWithoutBytes } from './missing-bytes.ts';
import { typeOfName } from './names.ts';
import type { Parts } from './parts.ts';

type VerifiedDigests = DigestSet & { md5: string };

/** How often a publication decides again when others publish the same MD5 meanwhile. */
const ATTEMPTS = 5;

/**
 * Verifies a complete upload and publishes it. Can be repeated at any point: what a
 * crash left half-done is taken up.
 *
 * @param upload - its row, with `offset` equal to `size`.
 * @param epoch - of the caller's lease.
 * @param computed - digests of its bytes.
 * @param options - `reuseFile`: see Publication.
 * @throws `digest_mismatch` after the upload was rejected; `upload_taken_over`.
 */
export async function publish(
  parts: Parts,
  upload: UploadRecord,
  epoch: number,
  computed: DigestSet,
  options: { reuseFile: boolean } = { reuseFile: false },
): Promise<Published> {
  const mismatch = (['md5', 'sha1', 'sha256'] as const).find(
    (algorithm) => upload[algorithm] && computed[algorithm] && upload[algorithm] !== computed[algorithm],
  );
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
  return parts.contentMutex.run(md5, () => publishVerified(parts, upload, epoch, { ...computed, md5 }, options));
}

async function publishVerified(
  parts: Parts,
  upload: UploadRecord,
  epoch: number,
  computed: VerifiedDigests,
  { reuseFile }: { reuseFile: boolean },
): Promise<Published> {
  const { catalog } = parts;
  const size = upload.offset;
  const name = upload.filename ?? computed.md5;
  const file: Publication['file'] = {
    id: randomUUID(),
    owner: upload.owner,
    name,
    type: upload.filetype ?? typeOfName(name),
    uploadedAt: parts.clock.now(),
  };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const sameMd5 = await catalog.findContents({ md5: computed.md5 });
    const equal = await findEqual(parts, upload, epoch, computed, sameMd5);
    const content: Publication['content'] = equal
      ? { id: equal.id }
      : {
          md5: computed.md5,
          sha1: computed.sha1 ?? null,
          sha256: computed.sha256 ?? null,
          size,
          ...(await finalizeAsNew(parts, upload, epoch, computed.md5, sameMd5)),
        };
    const wasHere =
      equal !== undefined && parts.limits.instant !== 'off' && (await catalog.ownsContent(upload.owner, equal.id));
    const outcome = await catalog.publish({ uploadId: upload.id, epoch, content, file, reuseFile });
    if (outcome.kind === 'published') {
      await catalog.durable();
      if (outcome.file.id === file.id) parts.events.tell('published', outcome.file);
      await cleanUp(parts, upload, equal ? sameMd5 : null);
      return { file: outcome.file, wasHere };
    }
    if (outcome.kind === 'lost') throw new TidemarkError('upload_taken_over');
  }
  throw new Error(`upload ${upload.id}: others kept publishing MD5 ${computed.md5}`);
}

/**
 * The content this upload is equal to. MD5 names content, it does not prove it: only
 * a SHA-256 on both sides, or the bytes themselves, do.
 */
async function findEqual(
  parts: Parts,
  upload: UploadRecord,
  epoch: number,
  computed: VerifiedDigests,
  candidates: ContentRecord[],
): Promise<ContentRecord | undefined> {
  for (const content of candidates) {
    if (content.size !== upload.offset) continue;
    if (content.size === 0) return content;
    if (content.sha256 && computed.sha256) {
      if (content.sha256 === computed.sha256) return content;
      continue;
    }
    const theirs = await openContent(parts, content);
    // Gone by accident: nothing can be proved about them, and nobody is kept from storing them anew.
    if (!theirs) continue;
    try {
      const ours = await openUpload(parts, upload, epoch);
      if (!ours) return undefined;
      // As long as the content is large. Whoever ends it early leaves an upload that the next start publishes.
      if (await equalStreams(ours, theirs, parts.stopping)) return content;
    } finally {
      theirs.destroy();
    }
    parts.log.warn({ uploadId: upload.id, md5: computed.md5 }, 'different bytes with the same MD5: kept apart');
  }
  return undefined;
}

async function openUpload(parts: Parts, upload: UploadRecord, epoch: number): Promise<Readable | null> {
  try {
    return await parts.store.readUpload(upload);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'missing') await endWithoutBytes(parts, upload.id, epoch, error);
    throw error;
  }
}

async function openContent(parts: Parts, content: ContentRecord): Promise<Readable | undefined> {
  try {
    return await parts.store.readContent(content.key);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'missing')) throw error;
    parts.log.error({ key: content.key, err: error }, 'bytes of a content are gone');
    return undefined;
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
  for (let variant = 0; ; variant++) {
    if (taken.some((content) => content.variant === variant)) continue;
    const key = parts.store.keyFor(upload, { md5, variant });
    try {
      await parts.store.finalize(upload, key);
      return { variant, key };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'missing') await endWithoutBytes(parts, upload.id, epoch, error);
      // Bytes of another upload, made final before a crash and not published yet.
      if (error.code !== 'occupied') throw error;
    }
  }
}

/**
 * The upload's own bytes are not needed any more.
 *
 * @param others - the contents of its MD5 when it was folded into one of them: then what
 *   an attempt that was cut short made final for it, under a key of no content, goes too.
 */
async function cleanUp(parts: Parts, upload: UploadRecord, others: ContentRecord[] | null): Promise<void> {
  const { store } = parts;
  try {
    await discard(parts, upload, others ? 'remove' : 'keep');
    if (!others?.[0]) return;
    const { md5 } = others[0];
    const variants = Math.max(...others.map((content) => content.variant)) + 2;
    // A store may have one key for all variants.
    const keys = new Set(Array.from({ length: variants }, (_, variant) => store.keyFor(upload, { md5, variant })));
    for (const key of keys) {
      if (!others.some((content) => content.key === key)) await store.removeContent(key);
    }
  } catch (error) {
    // Published it is all the same; the next start removes strays.
    parts.log.warn({ uploadId: upload.id, err: error }, 'bytes of a published upload could not be removed yet');
  }
}

async function reject(parts: Parts, upload: UploadRecord, epoch: number): Promise<void> {
  const ended = await parts.catalog.endUpload(upload.id, epoch, 'rejected', 'digest_mismatch', parts.clock.latest());
  if (!ended) throw new TidemarkError('upload_taken_over');
  await parts.catalog.durable();
  await discard(parts, upload, 'remove');
}
