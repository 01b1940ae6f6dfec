/** The page's side of the worker that digests. */
import type { HashAnswer, HashRequest } from './hash-worker.ts';

export interface Hashing {
  /** null when the file cannot be read any more; never resolves once stopped. */
  readonly md5: Promise<string | null>;
  pause(): void;
  resume(): void;
  stop(): void;
}

let worker: Worker | undefined;
let latestJob = 0;
const listeners = new Map<number, (answer: HashAnswer) => void>();

export function startHashing(file: File, onProgress: (bytes: number) => void): Hashing {
  const job = ++latestJob;
  const ask = (request: HashRequest): void => openWorker().postMessage(request);
  const md5 = new Promise<string | null>((resolve) => {
    listeners.set(job, (answer) => {
      if (answer.kind === 'progress') {
        onProgress(answer.bytes);
        return;
      }
      listeners.delete(job);
      resolve(answer.kind === 'done' ? answer.md5 : null);
    });
  });
  ask({ kind: 'hash', job, file });
  return {
    md5,
    pause: () => ask({ kind: 'pause', job }),
    resume: () => ask({ kind: 'resume', job }),
    stop: () => {
      listeners.delete(job);
      ask({ kind: 'stop', job });
    },
  };
}

function openWorker(): Worker {
  if (worker) return worker;
  worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { type: 'module' });
  worker.addEventListener('message', ({ data }: MessageEvent<HashAnswer>) => listeners.get(data.job)?.(data));
  // Its script could not be loaded, or it ran out of memory: whoever waits may try again, with a new one.
  worker.addEventListener('error', () => {
    worker?.terminate();
    worker = undefined;
    for (const [job, listener] of listeners) listener({ kind: 'unreadable', job });
  });
  return worker;
}
