/**
 * What a thread has been asked to do, lane by lane, and its order. Requests of one lane are served in order. Bytes of many lanes
 * are hashed side by side, in rounds: each takes as much from every lane as the shortest piece has.
 */
import type { Digest, DigestBytes, Hashing } from './hashing.ts';
import { MOST_CHAINS } from './md5-lanes-module.ts';
import { BLOCK_BYTES, type Piece, type Reply, type Request } from './messages.ts';

/** A round takes at least so much of a lane that has it: every round costs a few microseconds for each lane. */
const LEAST_ROUND_BYTES = 16 * 1024;

type Update = Extract<Request, { op: 'update' }>;
type Question = Extract<Request, { request: number }>;

interface Lane {
  readonly id: number;
  /** Its digest, or the reason why it could not be resumed; undefined where it is not open. */
  digest: Digest | string | undefined;
  /** In order. */
  readonly waiting: Request[];
  /** How many bytes of the first piece are hashed. */
  hashed: number;
  /** How many of those that wait are questions. */
  questions: number;
}

/** The next bytes of a lane. */
interface Next {
  lane: Lane;
  digest: Digest;
  update: Update;
  piece: Piece;
}

/** The requests of one thread. */
export interface Rounds {
  /** Adds requests, in order. */
  add(requests: readonly Request[]): void;
  /** Whether nothing waits. */
  readonly isIdle: boolean;
  /** Serves all requests up to the next bytes of each lane, hashes some of these, and serves what follows. */
  run(): Reply[];
}

/** Prepares the rounds of a thread. */
// oxlint-disable-next-line max-lines-per-function -- a few lines each, over the same lanes
export function createRounds(hashing: Hashing): Rounds {
  const lanes = new Map<number, Lane>();
  /** Those for which something waits, the one that has waited longest first. */
  const busy = new Set<Lane>();
  let replies: Reply[] = [];

  function add(request: Request): void {
    let lane = lanes.get(request.lane);
    if (!lane) {
      lane = { id: request.lane, digest: undefined, waiting: [], hashed: 0, questions: 0 };
      lanes.set(request.lane, lane);
    }
    lane.waiting.push(request);
    if ('request' in request) lane.questions++;
    busy.add(lane);
  }

  /** Serves the requests before the lane's next bytes. */
  function serve(lane: Lane): void {
    for (let request = lane.waiting[0]; request; request = lane.waiting[0]) {
      if (request.op === 'update' && typeof lane.digest === 'object') return;
      lane.waiting.shift();
      answer(lane, request);
    }
    busy.delete(lane);
    // It was closed, and has got requests since.
    if (lane.digest === undefined) lanes.delete(lane.id);
  }

  function answer(lane: Lane, request: Request): void {
    const { digest } = lane;
    switch (request.op) {
      case 'open':
        lane.digest = open(request);
        return;
      case 'close':
        if (typeof digest === 'object') hashing.forget(digest);
        lane.digest = undefined;
        return;
      case 'beginPart':
        if (typeof digest === 'object') hashing.beginPart(digest);
        return;
      case 'update':
        replies.push({ op: 'free', lane: lane.id, pieces: request.pieces });
        return;
      case 'snapshot':
      case 'digests':
      case 'partMd5':
        lane.questions--;
        replies.push(reply(digest ?? 'the lane is closed', request));
    }
  }

  function open(request: Extract<Request, { op: 'open' }>): Digest | string {
    try {
      return hashing.open(request);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  function reply(digest: Digest | string, { op, request }: Question): Reply {
    if (typeof digest === 'string') return { op: 'refused', request, message: digest };
    if (op === 'snapshot') return { op, request, snapshot: hashing.snapshot(digest) };
    if (op === 'digests') return { op, request, digests: hashing.digests(digest) };
    if (!digest.part) return { op: 'refused', request, message: 'no part was begun' };
    return { op, request, md5: hashing.partMd5(digest) };
  }

  /** Chooses lanes for as many chains as go side by side: those of which something is asked first. */
  function choose(): Next[] {
    const chosen: Next[] = [];
    let chains = 0;
    for (const lane of [...busy].toSorted((a, b) => Number(b.questions > 0) - Number(a.questions > 0))) {
      const [update] = lane.waiting;
      const { digest } = lane;
      if (update?.op !== 'update' || typeof digest !== 'object') continue;
      const [piece] = update.pieces;
      if (!piece) continue;
      chains += update.to === 'all' && digest.part ? 2 : 1;
      if (chains > MOST_CHAINS && chosen.length > 0) break;
      chosen.push({ lane, digest, update, piece });
    }
    return chosen;
  }

  function hash(chosen: readonly Next[]): void {
    const left = chosen.map(({ lane, piece }) => piece.length - lane.hashed);
    const most = Math.max(LEAST_ROUND_BYTES, Math.min(...left));
    const bytes = chosen.map(({ lane, digest, update, piece }, index): DigestBytes => {
      const length = Math.min(left[index] ?? 0, most);
      return { digest, at: piece.block * BLOCK_BYTES + lane.hashed, length, to: update.to };
    });
    hashing.update(bytes);
    chosen.forEach(({ lane, update, piece }, index) => {
      lane.hashed += bytes[index]?.length ?? 0;
      // Behind the others.
      busy.delete(lane);
      busy.add(lane);
      if (lane.hashed < piece.length) return;
      lane.hashed = 0;
      update.pieces.shift();
      replies.push({ op: 'free', lane: lane.id, pieces: [piece] });
      if (update.pieces.length === 0) lane.waiting.shift();
      serve(lane);
    });
  }

  return {
    add: (requests) => requests.forEach(add),
    get isIdle() {
      return busy.size === 0;
    },
    run: () => {
      for (const lane of busy) serve(lane);
      const chosen = choose();
      if (chosen.length > 0) hash(chosen);
      const all = replies;
      replies = [];
      return all;
    },
  };
}
