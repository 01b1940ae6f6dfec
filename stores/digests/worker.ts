/** A worker thread of the digest pool: hashes bytes in shared memory. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { createHashing } from './hashing.ts';
import type { Reply, Request, WorkerSetup } from './messages.ts';
import { createRounds } from './rounds.ts';
import { loadHashers } from './shared-hashers.ts';

/** Freed blocks are returned so many at once, as each message wakes the main thread. Answers are sent right away. */
const FREED_AT_ONCE = 8;

const { memory, scratch, simd, proof } = workerData as WorkerSetup;
const port = parentPort;
if (!port) throw new Error('the digest worker runs as a worker thread only');

const hashers = await loadHashers();
const rounds = createRounds(createHashing(memory, scratch, () => hashers, { simd, proof }));

port.on('message', (requests: Request[]) => {
  rounds.add(requests);
  let replies: Reply[] = [];
  do {
    // What has come meanwhile is hashed along.
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
      rounds.add(next.message as Request[]);
    }
    replies.push(...rounds.run());
    if (rounds.isIdle || replies.length >= FREED_AT_ONCE || replies.some(({ op }) => op !== 'free')) {
      if (replies.length > 0) port.postMessage(replies);
      replies = [];
    }
  } while (!rounds.isIdle);
});
