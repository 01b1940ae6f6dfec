/** MD5 and SHA-256 of local files, in one pass, remembered for as long as a file stays the same. */
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
  /** Of an earlier reading. */
  remembered: boolean;
}

const KEEP_MS = 90 * 24 * 3600 * 1000;

/**
 * A file that is written twice within one tick of its file system's clock keeps its
 * times. Digests are remembered only once the clock has certainly moved on. Whole
 * seconds are a sign of a coarse clock (FAT: 2 s, HFS+: 1 s).
 */
const FINE_TICK_MS = 100;
const COARSE_TICK_MS = 2100;

function cache(): ReturnType<typeof createRecordFolder<CachedDigests>> {
  return createRecordFolder<CachedDigests>(join(cacheFolder(), 'digests'), { durable: false });
}

/**
 * @param onProgress - bytes read so far; not called when the digests are remembered.
 */
export async function digestFile(
  file: LocalFile,
  options: { signal: AbortSignal; onProgress: (bytes: number) => void },
): Promise<FoundDigests> {
  const { path, size, mtimeNs, ctimeNs, inode } = file.identity;
  // Keyed by path alone, so that a changed file replaces what was remembered of its earlier state.
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

  // The time of the last change, whatever its mtime was set to.
  const tickMs = ctimeNs.endsWith('000000000') ? COARSE_TICK_MS : FINE_TICK_MS;
  if (Date.now() - Number(BigInt(ctimeNs) / 1_000_000n) > tickMs) {
    // A cache that cannot be written costs time, nothing else.
    await cache()
      .write([path], { size, mtimeNs, ctimeNs, inode, ...digests })
      .catch(() => {});
  }
  return { ...digests, remembered: false };
}

/** Forgets what is remembered of a file: it was found to be wrong. */
export async function forgetDigests(file: LocalFile): Promise<void> {
  await cache().remove([file.identity.path]);
}

/** Forgets files that were last read long ago. */
export async function pruneDigests(): Promise<void> {
  await cache().prune(KEEP_MS);
}
