/** MD5 and SHA-256 of local files, computed in one pass, and cached for as long as a file stays the same. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { cacheFolder, createRecordFolder } from './atomic-file.ts';
import type { LocalFile } from './local-file.ts';

export interface Digests {
  md5: string;
  sha256: string;
}

interface CachedDigests extends Digests {
  size: number;
  mtimeNs: string;
  ctimeNs: string;
  inode: string;
}

export interface FoundDigests extends Digests {
  /** Whether they come from the cache. */
  remembered: boolean;
}

const KEEP_MS = 90 * 24 * 3600 * 1000;

/**
 * A file that is written twice within one tick of its file system's clock has the same
 * times after both. So digests are cached only of a file whose last change is at least
 * one tick ago. Whole seconds are a sign of a coarse clock (FAT: 2 s, HFS+: 1 s).
 */
const FINE_TICK_MS = 100;
const COARSE_TICK_MS = 2100;

function cache(): ReturnType<typeof createRecordFolder<CachedDigests>> {
  return createRecordFolder<CachedDigests>(join(cacheFolder(), 'digests'), { durable: false });
}

/**
 * Computes the digests of a file, or takes them from the cache.
 *
 * @param options.onProgress - called with the bytes read so far; not for digests from the cache.
 * @throws CliError `file_changed`, SizeUntrueError; the signal's reason once it is aborted.
 */
export async function digestFile(
  file: LocalFile,
  options: { signal: AbortSignal; onProgress: (bytes: number) => void },
): Promise<FoundDigests> {
  const { path, size, mtimeNs, ctimeNs, inode } = file.identity;
  // The key is only the path, so that a changed file replaces the digests of its earlier state.
  const remembered = await cache().read([path]);
  if (
    remembered?.size === size &&
    remembered.mtimeNs === mtimeNs &&
    remembered.ctimeNs === ctimeNs &&
    remembered.inode === inode
  ) {
    const { md5, sha256 } = remembered;
    if (/^[0-9a-f]{32}$/.test(md5) && /^[0-9a-f]{64}$/.test(sha256)) return { md5, sha256, remembered: true };
  }

  const md5 = createHash('md5');
  const sha256 = createHash('sha256');
  let position = 0;
  for await (const chunk of file.read(0, size)) {
    options.signal.throwIfAborted();
    md5.update(chunk);
    sha256.update(chunk);
    position += chunk.length;
    options.onProgress(position);
  }
  await file.verifyEnd();
  const digests: Digests = { md5: md5.digest('hex'), sha256: sha256.digest('hex') };

  // ctime is the time of the last change; mtime may have been set.
  const tickMs = ctimeNs.endsWith('000000000') ? COARSE_TICK_MS : FINE_TICK_MS;
  if (Date.now() - Number(BigInt(ctimeNs) / 1_000_000n) > tickMs) {
    // Without the cache, the next run only takes longer.
    await cache()
      .write([path], { size, mtimeNs, ctimeNs, inode, ...digests })
      .catch(() => {});
  }
  return { ...digests, remembered: false };
}

/** Removes the cached digests of a file, which were found to be wrong. */
export async function forgetDigests(file: LocalFile): Promise<void> {
  await cache().remove([file.identity.path]);
}

/** Removes the digests that were computed more than 90 days ago. */
export async function pruneDigests(): Promise<void> {
  await cache().prune(KEEP_MS);
}
