/**
 * A worker thread of the digest pool. It has one hash-wasm instance per algorithm
 * and swaps states between lanes: about 12,950 live instances would end the
 * process, and a swap costs a few microseconds.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createMD5, createSHA1, createSHA256, type IHasher } from 'hash-wasm';
import type { DigestAlgorithm, DigestSet } from './digests.ts';
import { BLOCK_BYTES, type Reply, type Request, type WorkerSetup } from './messages.ts';
import { decodeSnapshot, type DigestStates, encodeSnapshot } from './snapshot.ts';

const CREATE: Record<DigestAlgorithm, () => Promise<IHasher>> = {
  md5: createMD5,
  sha1: createSHA1,
  sha256: createSHA256,
};

const setup = workerData as WorkerSetup;
const port = parentPort;
if (!port) throw new Error('the digest worker runs as a worker thread only');

// A snapshot may carry an algorithm that has since been switched off, so all are at hand.
const hashers = new Map<DigestAlgorithm, IHasher>();
for (const algorithm of Object.keys(CREATE) as DigestAlgorithm[]) {
  hashers.set(algorithm, await CREATE[algorithm]());
}
const initial: DigestStates = new Map();
for (const [algorithm, hasher] of hashers) initial.set(algorithm, hasher.init().save());

type Lane = { states: DigestStates } | { broken: string };
const lanes = new Map<number, Lane>();
/** The lane whose states are in the hashers; its entry in `lanes` may be behind them. */
let loaded: { id: number; states: DigestStates } | undefined;

/** Answers to the batch at hand, sent together. */
let replies: Reply[] = [];

port.on('message', (requests: Request[]) => {
  for (const request of requests) serve(request);
  port.postMessage(replies);
  replies = [];
});

function serve(request: Request): void {
  switch (request.op) {
    case 'open':
      lanes.set(request.lane, openLane(request.from));
      break;
    case 'update': {
      const states = load(request.lane);
      for (const { block, length } of request.pieces) {
        const bytes = new Uint8Array(setup.blocks, block * BLOCK_BYTES, length);
        for (const algorithm of states?.keys() ?? []) hasherOf(algorithm).update(bytes);
      }
      reply({ op: 'free', lane: request.lane, pieces: request.pieces });
      break;
    }
    case 'snapshot':
      answer(request.lane, request.request, (states) => {
        save();
        return { op: 'snapshot', request: request.request, snapshot: encodeSnapshot(states) };
      });
      break;
    case 'digests':
      answer(request.lane, request.request, (states) => {
        save();
        // Reading a digest finishes the instance: the lane goes on from the saved states.
        loaded = undefined;
        const digests: DigestSet = {};
        for (const algorithm of states.keys()) digests[algorithm] = hasherOf(algorithm).digest('hex');
        return { op: 'digests', request: request.request, digests };
      });
      break;
    case 'close':
      if (loaded?.id === request.lane) loaded = undefined;
      lanes.delete(request.lane);
      break;
  }
}

function openLane(from: Uint8Array | readonly DigestAlgorithm[]): Lane {
  if (!(from instanceof Uint8Array)) {
    return { states: new Map([...initial].filter(([algorithm]) => from.includes(algorithm))) };
  }
  save();
  loaded = undefined;
  try {
    const states = decodeSnapshot(from);
    // hash-wasm refuses states of another build of its code: better now than at the end.
    for (const [algorithm, state] of states) hasherOf(algorithm).load(state);
    return { states };
  } catch (error) {
    return { broken: error instanceof Error ? error.message : String(error) };
  }
}

/** Brings a lane's states into the hashers; undefined for a lane that cannot be taken up. */
function load(id: number): DigestStates | undefined {
  if (loaded?.id === id) return loaded.states;
  const lane = lanes.get(id);
  if (!lane || 'broken' in lane) return undefined;
  save();
  for (const [algorithm, state] of lane.states) hasherOf(algorithm).load(state);
  loaded = { id, states: lane.states };
  return lane.states;
}

/** Writes the hashers' states back to the lane they belong to. */
function save(): void {
  if (!loaded) return;
  for (const algorithm of loaded.states.keys()) {
    loaded.states.set(algorithm, hasherOf(algorithm).save());
  }
}

function answer(id: number, request: number, make: (states: DigestStates) => Reply): void {
  const states = load(id);
  if (states) {
    reply(make(states));
    return;
  }
  const lane = lanes.get(id);
  const message = lane && 'broken' in lane ? lane.broken : 'the lane is closed';
  reply({ op: 'refused', request, message });
}

function hasherOf(algorithm: DigestAlgorithm): IHasher {
  const hasher = hashers.get(algorithm);
  if (!hasher) throw new Error(`no hasher for ${algorithm}`);
  return hasher;
}

function reply(message: Reply): void {
  replies.push(message);
}
