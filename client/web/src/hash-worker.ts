/**
 * A worker that reads files outside the page's main thread: for MD5 and SHA-256 of a file in one pass, and for the codes by which
 * the page proves to have it. Pages without TLS have no SubtleCrypto, which could not hash a large file anyhow.
 */
import { createHMAC, createMD5, createSHA256 } from 'hash-wasm';
import type { Challenged } from '../../core/possession.ts';

export type HashRequest =
  | { kind: 'hash'; job: number; file: File }
  | ({ kind: 'codes'; job: number; file: File } & Challenged)
  | { kind: 'pause' | 'resume' | 'stop'; job: number };

export type HashAnswer =
  | { kind: 'progress'; job: number; bytes: number }
  | { kind: 'done'; job: number; md5: string; sha256: string }
  | { kind: 'codes'; job: number; codes: string[] }
  /** The file cannot be read any more: it has changed, is gone, or has fewer bytes than its size says. */
  | { kind: 'unreadable'; job: number };

/** Large enough to keep the disk busy, small enough to stop soon. */
const CHUNK_BYTES = 4 * 1024 * 1024;

interface Job {
  stopped: boolean;
  /** Awaited before each chunk; pending while the job is paused. */
  gate: Promise<void>;
  /** Resolves the gate. */
  open: () => void;
}

const jobs = new Map<number, Job>();

function answer(message: HashAnswer): void {
  self.postMessage(message);
}

async function read(file: File, at: number, length = CHUNK_BYTES): Promise<Uint8Array> {
  const bytes = new Uint8Array(await file.slice(at, at + length).arrayBuffer());
  if (bytes.length !== Math.min(length, Math.max(0, file.size - at))) throw new Error('fewer bytes than its size');
  return bytes;
}

async function hash(id: number, file: File): Promise<void> {
  const job: Job = { stopped: false, gate: Promise.resolve(), open: () => undefined };
  jobs.set(id, job);
  try {
    const [md5, sha256] = [await createMD5(), await createSHA256()];
    md5.init();
    sha256.init();
    // One chunk ahead: the disk works while the digests are computed.
    let ahead = read(file, 0);
    for (let at = 0; at < file.size; at += CHUNK_BYTES) {
      await job.gate;
      if (job.stopped) return;
      const bytes = await ahead;
      ahead = read(file, at + CHUNK_BYTES);
      // Awaited in the next round; until then a failure must not count as unhandled.
      ahead.catch(() => undefined);
      md5.update(bytes);
      sha256.update(bytes);
      answer({ kind: 'progress', job: id, bytes: at + bytes.length });
    }
    answer({ kind: 'done', job: id, md5: md5.digest(), sha256: sha256.digest() });
  } catch {
    answer({ kind: 'unreadable', job: id });
  } finally {
    jobs.delete(id);
  }
}

/** See `ProofJson`. */
const CODE_DIGITS = 16;

async function computeCodes(job: number, file: File, { token, ranges }: Challenged): Promise<void> {
  try {
    const hmac = await createHMAC(createSHA256(), token);
    const codes: string[] = [];
    for (const { start, end } of ranges) {
      hmac.init();
      for (let at = start; at < end; at += CHUNK_BYTES)
        hmac.update(await read(file, at, Math.min(CHUNK_BYTES, end - at)));
      codes.push(hmac.digest().slice(0, CODE_DIGITS));
    }
    answer({ kind: 'codes', job, codes });
  } catch {
    answer({ kind: 'unreadable', job });
  }
}

self.addEventListener('message', ({ data }: MessageEvent<HashRequest>) => {
  if (data.kind === 'hash') {
    void hash(data.job, data.file);
    return;
  }
  if (data.kind === 'codes') {
    void computeCodes(data.job, data.file, data);
    return;
  }
  const job = jobs.get(data.job);
  if (!job) return;
  job.open();
  if (data.kind === 'stop') job.stopped = true;
  if (data.kind === 'pause') {
    job.gate = new Promise((resolve) => {
      job.open = resolve;
    });
  }
});
