/**
 * Copies one content into another store. Until the copy is complete it is an upload there, with a row in the target's
 * catalog: a move that was killed resumes from the last part, and leaves nothing in the store that no row names.
 */
import type { Readable } from 'node:stream';
import type { DigestPool } from '../../stores/digests/digests.ts';
import {
  type Commit,
  type ContentReader,
  type Discarding,
  type Store,
  StoreError,
  type StoredUpload,
} from '../../stores/store.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { type Catalog, CatalogError, type UploadRecord } from '../catalog/catalog.ts';
import type { CopiedRow } from '../catalog/rows.ts';
import { asDamage, DamagedError, openExpected, verifyContent } from './verify.ts';

/** What a copy works with. */
export interface Copying {
  source: Catalog;
  from: ContentReader;
  target: Catalog;
  into: Store;
  digests: DigestPool;
  signal: AbortSignal;
  /** Called with the number of bytes that were stored in the target. */
  onBytes: (bytes: number) => void;
}

type Content = CopiedRow<'contents'>;
type Named = Pick<StoredUpload, 'filename' | 'filetype'>;

/** The owner of the uploads that are copies. Owners in AUTH_TOKENS have no spaces in their names. */
const OWNER = 'tidemark admin move';
/** A copy may expire at once: no service runs on the target that would end it. */
const LIFE_MS = 0;

/** Finds the copies that an interrupted move has begun, by content. Cleans up those that are complete. */
export async function takeUpCopies(copying: Copying): Promise<Map<number, UploadRecord>> {
  const { target } = copying;
  const begun = new Map<number, UploadRecord>();
  for (const id of await target.rows.uploadsOf(OWNER)) {
    const upload = await target.findUpload(id);
    if (!upload) continue;
    const content = Number(upload.metadata);
    const [there] = await target.rows.list('contents', [content - 1], 1);
    if (there?.id === content) await clearUp(copying, upload, 'keep');
    else begun.set(content, upload);
  }
  return begun;
}

/** Removes what a copy has left in the store, and then its row. */
export async function clearUp({ into, target }: Copying, upload: StoredUpload, final: Discarding): Promise<void> {
  await into.discardUpload(upload, final);
  await target.rows.removeUploads([upload.id]);
}

/**
 * Copies a content, and reads the copy back to verify it.
 *
 * @returns the key of the copy, and its upload, which the caller clears up once a content's row names the key.
 * @throws DamagedError where the source's bytes cannot be read, or do not match the catalog.
 */
export async function copyContent(
  copying: Copying,
  content: Content,
  { begun, named }: { begun: UploadRecord | undefined; named: Named },
): Promise<{ key: string; upload: StoredUpload }> {
  let upload = (begun && (await resume(copying, begun))) ?? (await begin(copying, content, named));
  copying.onBytes(upload.offset);
  try {
    if (upload.offset < content.size) upload = await write(copying, content, upload);
    const key = copying.into.keyFor(upload, content);
    await finalize(copying, upload, key);
    await verifyCopy(copying, content, key);
    return { key, upload };
  } catch (error) {
    if (error instanceof DamagedError) await clearUp(copying, upload, 'remove');
    throw error;
  }
}

async function begin({ target, into }: Copying, { id: contentId, size, md5 }: Content, named: Named) {
  const id = SYSTEM.newId();
  await target.createUpload({
    ...named,
    id,
    owner: OWNER,
    size,
    md5,
    sha1: null,
    sha256: null,
    metadata: String(contentId),
    lifeMs: LIFE_MS,
    holder: OWNER,
    phase: 'receiving',
  });
  const upload: StoredUpload = { ...named, id, size, offset: 0, snapshot: null, storeState: null };
  await into.createUpload(upload);
  return upload;
}

/** Undefined where the store has nothing from which the copy could resume. */
async function resume(copying: Copying, upload: UploadRecord): Promise<StoredUpload | undefined> {
  const { into, digests, signal } = copying;
  try {
    const found = upload.offset > 0 ? await into.recoverUpload(upload, digests, signal) : undefined;
    if (found === null) return upload;
    if (found) return await record(copying, upload, found);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'missing')) throw error;
  }
  await clearUp(copying, upload, 'remove');
  return undefined;
}

/** Appends the missing bytes. */
async function write(copying: Copying, content: Content, upload: StoredUpload): Promise<StoredUpload> {
  const { from, into, digests, signal } = copying;
  let current = upload;
  const source: Readable = await openExpected(from, content.key, content, { offset: upload.offset, signal });
  try {
    const written = await into.writeUpload(source, upload, {
      digests,
      signal,
      maxBytes: content.size - upload.offset,
      commit: async (commit) => {
        // An optional commit is not recorded: the content is small, and its own row follows once it is final and verified.
        copying.onBytes(commit.offset - current.offset);
        current = commit.optional ? committed(current, commit) : await record(copying, current, commit);
      },
    });
    signal.throwIfAborted();
    if (written.offset < content.size) {
      const cause = written.interrupted ?? new Error('its bytes ended early');
      throw asDamage(cause);
    }
    const md5 = written.digests?.md5;
    if (md5 !== undefined && md5 !== content.md5) throw new DamagedError(`its bytes have the MD5 ${md5}`);
    return current;
  } finally {
    source.destroy();
  }
}

function committed(upload: StoredUpload, { offset, snapshot, storeState = null }: Commit): StoredUpload {
  return { ...upload, offset, snapshot, storeState };
}

async function record({ target }: Copying, upload: StoredUpload, commit: Commit): Promise<StoredUpload> {
  const { offset, snapshot, storeState = null, parts } = commit;
  const about = { id: upload.id, epoch: 1, idleMs: null, lifeMs: null };
  const moved = await target.commitOffset({ ...about, offset, snapshot, storeState, ...(parts && { parts }) });
  if (!moved) throw new CatalogError('failed', `the copy ${upload.id} is not in the target's catalog any more`);
  return committed(upload, commit);
}

/** An object under the key comes from an earlier attempt, because no other service uses the target: it is replaced. */
async function finalize({ into }: Copying, upload: StoredUpload, key: string): Promise<void> {
  try {
    await into.finalize(upload, key);
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'occupied')) throw error;
    await into.removeContent(key);
    await into.finalize(upload, key);
  }
}

async function verifyCopy(copying: Copying, content: Content, key: string): Promise<void> {
  const { from, into, digests, signal } = copying;
  try {
    await verifyContent(into, key, content, { digests, signal });
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    await into.removeContent(key);
    // If the source is damaged, this throws DamagedError.
    await verifyContent(from, content.key, content, { digests, signal });
    throw new StoreError('failed', `${key} was copied, and in the target ${error.message}`, error);
  }
}
