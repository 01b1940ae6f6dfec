/**
 * A worker thread of the digest pool. MD5 is computed where the bytes lie. Of each other
 * algorithm there is one hash-wasm instance, whose state is swapped between lanes: about
 * 12,950 live instances would end the process, and a swap costs a few microseconds.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createSHA1, createSHA256, type IHasher } from 'hash-wasm';
import { type DigestAlgorithm, type DigestSet } from './digests.ts';
import { beginMd5, createMd5Engine, loadMd5, type Md5State, saveMd5 } from './md5.ts';
import { BLOCK_BYTES, type Piece, type Reply, type Request, type WorkerSetup } from './messages.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';

type LibraryAlgorithm = Exclude<DigestAlgorithm, 'md5'>;

const { memory, scratch } = workerData as WorkerSetup;
const port = parentPort;
if (!port) throw new Error('the digest worker runs as a worker thread only');

const md5 = createMd5Engine(memory, scratch);
// A snapshot may carry an algorithm that has since been switched off, so all are at hand.
const hashers: Record<LibraryAlgorithm, IHasher> = { sha1: await createSHA1(), sha256: await createSHA256() };
const initial: Record<LibraryAlgorithm, Uint8Array> = {
  sha1: hashers.sha1.init().save(),
  sha256: hashers.sha256.init().save(),
};

interface Lane {
  /** Why it cannot be taken up. */
  broken?: string;
  md5: Md5State | null;
  /** The MD5 of a part of the bytes. */
  part: Md5State | null;
  /** States of the others. */
  saved: Map<LibraryAlgorithm, Uint8Array>;
}
const lanes = new Map<number, Lane>();
/** The lane whose states are in the hashers: its `saved` may be behind them. */
let loaded: Lane | undefined;

/** Answers to the batch at hand, sent together. */
let replies: Reply[] = [];

port.on('message', (requests: Request[]) => {
  for (const request of requests) serve(request);
  port.postMessage(replies);
  replies = [];
});

function serve(request: Request): void {
  const lane = lanes.get(request.lane);
  const usable = lane?.broken === undefined ? lane : undefined;
  switch (request.op) {
    case 'open':
      lanes.set(request.lane, openLane(request.from));
      return;
    case 'close':
      if (loaded === lane) loaded = undefined;
      lanes.delete(request.lane);
      return;
    case 'beginPart':
      if (usable) usable.part = beginMd5();
      return;
    case 'update':
      if (usable) update(usable, request.pieces, request.to);
      replies.push({ op: 'free', lane: request.lane, pieces: request.pieces });
      return;
    case 'snapshot':
    case 'digests':
    case 'partMd5':
      replies.push(usable ? answer(usable, request) : refuse(request.request, lane?.broken ?? 'the lane is closed'));
  }
}

function refuse(request: number, message: string): Reply {
  return { op: 'refused', request, message };
}

function openLane(from: Uint8Array | readonly DigestAlgorithm[]): Lane {
  const lane: Lane = { md5: null, part: null, saved: new Map() };
  if (!(from instanceof Uint8Array)) {
    for (const algorithm of from) {
      if (algorithm === 'md5') lane.md5 = beginMd5();
      else lane.saved.set(algorithm, initial[algorithm]);
    }
    return lane;
  }
  try {
    for (const [algorithm, state] of decodeSnapshot(from)) {
      if (algorithm === 'md5') lane.md5 = loadMd5(state);
      else lane.saved.set(algorithm, state);
    }
    // hash-wasm refuses states of another build of its code: better now than at the end.
    bringIn(lane);
    return lane;
  } catch (error) {
    loaded = undefined;
    return { ...lane, broken: error instanceof Error ? error.message : String(error) };
  }
}

function update(lane: Lane, pieces: Piece[], to: 'all' | 'part'): void {
  const chains = [to === 'all' ? lane.md5 : null, lane.part].filter((state) => state !== null);
  if (to === 'all') bringIn(lane);
  for (const { block, length } of pieces) {
    const at = block * BLOCK_BYTES;
    md5.update(chains, at, length);
    if (to === 'part') continue;
    for (const algorithm of lane.saved.keys()) hashers[algorithm].update(new Uint8Array(memory.buffer, at, length));
  }
}

function answer(lane: Lane, { op, request }: Extract<Request, { request: number }>): Reply {
  if (op === 'partMd5') {
    if (!lane.part) return refuse(request, 'no part was begun');
    return { op, request, md5: md5.digest(lane.part) };
  }
  bringIn(lane);
  takeOut();
  if (op === 'snapshot') {
    const states = new Map<DigestAlgorithm, Uint8Array>(lane.saved);
    if (lane.md5) states.set('md5', saveMd5(lane.md5));
    return { op, request, snapshot: encodeSnapshot(states) };
  }
  const digests: DigestSet = {};
  if (lane.md5) digests.md5 = md5.digest(lane.md5);
  for (const algorithm of lane.saved.keys()) digests[algorithm] = hashers[algorithm].digest('hex');
  // Reading a digest finishes the instance: the lane goes on from the saved states.
  loaded = undefined;
  return { op, request, digests };
}

/** Brings a lane's states into the hashers. */
function bringIn(lane: Lane): void {
  if (loaded === lane || lane.saved.size === 0) return;
  takeOut();
  for (const [algorithm, state] of lane.saved) hashers[algorithm].load(state);
  loaded = lane;
}

/** Writes the hashers' states back to the lane they belong to. */
function takeOut(): void {
  for (const algorithm of loaded?.saved.keys() ?? []) loaded?.saved.set(algorithm, hashers[algorithm].save());
}
