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
  inode: string;
}

const KEEP_MS = 90 * 24 * 3600 * 1000;

/**
 * A file that is written twice within one tick of its file system's clock keeps its
 * mtime. Digests are remembered only once the clock has certainly moved on. Whole
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
): Promise<Digests> {
  const { path, size, mtimeNs, inode } = file.identity;
  // Keyed by path alone, so that a changed file replaces what was remembered of its earlier state.
  const remembered = await cache().read([path]);
  if (remembered?.size === size && remembered.mtimeNs === mtimeNs && remembered.inode === inode) {
    const { md5, sha256 } = remembered;
    if (/^[0-9a-f]{32}$/.test(md5) && /^[0-9a-f]{64}$/.test(sha256)) return { md5, sha256 };
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
  await file.verifyUnchanged();
  const digests: Digests = { md5: md5.digest('hex'), sha256: sha256.digest('hex') };

  const tickMs = mtimeNs.endsWith('000000000') ? COARSE_TICK_MS : FINE_TICK_MS;
  if (Date.now() - Number(BigInt(mtimeNs) / 1_000_000n) > tickMs) {
    // A cache that cannot be written costs time, nothing else.
    await cache()
      .write([path], { size, mtimeNs, inode, ...digests })
      .catch(() => {});
  }
  return digests;
}

/** Forgets files that were last read long ago. */
export async function pruneDigests(): Promise<void> {
  await cache().prune(KEEP_MS);
}
