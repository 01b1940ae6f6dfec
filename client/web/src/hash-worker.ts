/** MD5 of a file, a chunk at a time, away from the page's thread. */
import { createMD5 } from 'hash-wasm';

export type HashRequest =
  | { kind: 'hash'; job: number; file: File }
  | { kind: 'pause' | 'resume' | 'stop'; job: number };

export type HashAnswer =
  | { kind: 'progress'; job: number; bytes: number }
  | { kind: 'done'; job: number; md5: string }
  /** The file cannot be read any more: it has changed, or is gone. */
  | { kind: 'unreadable'; job: number };

/** Large enough to keep the disk busy, small enough to stop soon. */
const CHUNK_BYTES = 4 * 1024 * 1024;

interface Job {
  stopped: boolean;
  gate: Promise<void>;
  open: () => void;
}

const jobs = new Map<number, Job>();

function answer(message: HashAnswer): void {
  self.postMessage(message);
}

async function hash(id: number, file: File): Promise<void> {
  const job: Job = { stopped: false, gate: Promise.resolve(), open: () => undefined };
  jobs.set(id, job);
  try {
    const hasher = await createMD5();
    hasher.init();
    for (let at = 0; at < file.size; at += CHUNK_BYTES) {
      await job.gate;
      if (job.stopped) return;
      const bytes = await file.slice(at, at + CHUNK_BYTES).arrayBuffer();
      hasher.update(new Uint8Array(bytes));
      answer({ kind: 'progress', job: id, bytes: Math.min(at + CHUNK_BYTES, file.size) });
    }
    answer({ kind: 'done', job: id, md5: hasher.digest() });
  } catch {
    answer({ kind: 'unreadable', job: id });
  } finally {
    jobs.delete(id);
  }
}

self.addEventListener('message', ({ data }: MessageEvent<HashRequest>) => {
  if (data.kind === 'hash') {
    void hash(data.job, data.file);
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
