/** The page's side of the worker that computes digests and codes. */
import type { Challenged } from '../../core/possession.ts';
import type { HashAnswer, HashRequest } from './hash-worker.ts';

export type HashOutcome =
  | { md5: string; sha256: string }
  /** `unreadable`: the file has changed or is gone. `broken`: the worker has failed, not the file. */
  | { problem: 'unreadable' | 'broken' };

export interface Hashing {
  /** Never resolves once stopped. */
  readonly outcome: Promise<HashOutcome>;
  pause(): void;
  resume(): void;
  stop(): void;
}

let worker: Worker | undefined;
let latestJob = 0;
const listeners = new Map<number, (answer: HashAnswer | { kind: 'broken' }) => void>();

/** @param onProgress - called with the number of bytes hashed so far. */
export function startHashing(file: File, onProgress: (bytes: number) => void): Hashing {
  const job = ++latestJob;
  const ask = (request: HashRequest): void => openWorker().postMessage(request);
  const outcome = new Promise<HashOutcome>((resolve) => {
    listeners.set(job, (answer) => {
      if (answer.kind === 'progress') {
        onProgress(answer.bytes);
        return;
      }
      listeners.delete(job);
      if (answer.kind === 'done') resolve({ md5: answer.md5, sha256: answer.sha256 });
      else if (answer.kind !== 'codes') resolve({ problem: answer.kind });
    });
  });
  ask({ kind: 'hash', job, file });
  return {
    outcome,
    pause: () => ask({ kind: 'pause', job }),
    resume: () => ask({ kind: 'resume', job }),
    stop: () => {
      listeners.delete(job);
      ask({ kind: 'stop', job });
    },
  };
}

/** Computes the codes of a challenge. @returns null where the file cannot be read, or the worker has failed. */
export function computeCodes(file: File, challenged: Challenged): Promise<string[] | null> {
  const job = ++latestJob;
  return new Promise((resolve) => {
    listeners.set(job, (answer) => {
      listeners.delete(job);
      resolve(answer.kind === 'codes' ? answer.codes : null);
    });
    openWorker().postMessage({ kind: 'codes', job, file, ...challenged } satisfies HashRequest);
  });
}

function openWorker(): Worker {
  if (worker) return worker;
  worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { type: 'module' });
  worker.addEventListener('message', ({ data }: MessageEvent<HashAnswer>) => listeners.get(data.job)?.(data));
  // The connection was lost before its script was loaded, or it ran out of memory: the next job starts a new worker.
  worker.addEventListener('error', () => {
    worker?.terminate();
    worker = undefined;
    for (const listener of listeners.values()) listener({ kind: 'broken' });
  });
  return worker;
}
