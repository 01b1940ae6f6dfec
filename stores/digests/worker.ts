/** A worker thread of the digest pool: hashes bytes in shared memory. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Digest, createHashing } from './hashing.ts';
import { BLOCK_BYTES, type Reply, type Request, type WorkerSetup } from './messages.ts';
import { loadHashers } from './shared-hashers.ts';

const { memory, scratch } = workerData as WorkerSetup;
const port = parentPort;
if (!port) throw new Error('the digest worker runs as a worker thread only');

const hashers = await loadHashers();
const hashing = createHashing(memory, scratch, () => hashers);
/** For each lane its digest, or the reason why it could not be resumed. */
const lanes = new Map<number, Digest | string>();

/** Replies to the present message, which are sent together. */
let replies: Reply[] = [];

port.on('message', (requests: Request[]) => {
  for (const request of requests) serve(request);
  port.postMessage(replies);
  replies = [];
});

function serve(request: Request): void {
  const found = lanes.get(request.lane);
  const digest = typeof found === 'string' ? undefined : found;
  switch (request.op) {
    case 'open':
      lanes.set(request.lane, open(request));
      return;
    case 'close':
      if (digest) hashing.forget(digest);
      lanes.delete(request.lane);
      return;
    case 'beginPart':
      if (digest) hashing.beginPart(digest);
      return;
    case 'update':
      for (const { block, length } of digest ? request.pieces : []) {
        if (digest) hashing.update(digest, block * BLOCK_BYTES, length, request.to);
      }
      replies.push({ op: 'free', lane: request.lane, pieces: request.pieces });
      return;
    case 'snapshot':
    case 'digests':
    case 'partMd5':
      replies.push(answer(digest ?? (typeof found === 'string' ? found : 'the lane is closed'), request));
  }
}

function open(request: Extract<Request, { op: 'open' }>): Digest | string {
  try {
    return hashing.open(request);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function answer(digest: Digest | string, { op, request }: Extract<Request, { request: number }>): Reply {
  if (typeof digest === 'string') return { op: 'refused', request, message: digest };
  if (op === 'snapshot') return { op, request, snapshot: hashing.snapshot(digest) };
  if (op === 'digests') return { op, request, digests: hashing.digests(digest) };
  if (!digest.part) return { op: 'refused', request, message: 'no part was begun' };
  return { op, request, md5: hashing.partMd5(digest) };
}
