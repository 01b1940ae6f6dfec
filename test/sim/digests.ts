/** The digest pool of a simulation: the digests are real, and computed at once, in the same thread. */
import { createSHA1, createSHA256, type IHasher } from 'hash-wasm';
import {
  type DigestAlgorithm,
  type DigestLane,
  type DigestPool,
  type DigestSet,
  SnapshotError,
} from '../../stores/digests/digests.ts';
import { beginMd5, createMd5Engine, loadMd5, type Md5State, saveMd5, SCRATCH_BYTES } from '../../stores/digests/md5.ts';
import { decodeSnapshot, encodeSnapshot } from '../../stores/digests/snapshot.ts';

type LibraryAlgorithm = Exclude<DigestAlgorithm, 'md5'>;

const PAGE_BYTES = 65_536;
const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
const room = new Uint8Array(memory.buffer, PAGE_BYTES);
const engine = createMd5Engine(memory, PAGE_BYTES - SCRATCH_BYTES);
const hashers: Record<LibraryAlgorithm, IHasher> = { sha1: await createSHA1(), sha256: await createSHA256() };

interface State {
  md5: Md5State | null;
  part: Md5State | null;
  saved: Map<LibraryAlgorithm, Uint8Array>;
}

/** As `createDigestPool`, without threads. */
export function createSimDigests(algorithms: readonly DigestAlgorithm[]): DigestPool {
  return { algorithms, open: (snapshot, others) => openLane(snapshot ?? others ?? algorithms), close: async () => {} };
}

function openLane(from: Uint8Array | readonly DigestAlgorithm[]): DigestLane {
  const state = from instanceof Uint8Array ? load(from) : begin(from);

  function usable(): State {
    if (state instanceof SnapshotError) throw state;
    return state;
  }

  function add(chunks: readonly Uint8Array[], chains: readonly (Md5State | null)[], saved: State['saved']): void {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += room.length) {
        const some = chunk.subarray(at, at + room.length);
        room.set(some);
        const present = chains.filter((chain) => chain !== null);
        engine.update(present.map((chain) => ({ state: chain, from: PAGE_BYTES, length: some.length })));
        for (const [algorithm, before] of saved) {
          const hasher = hashers[algorithm];
          hasher.load(before);
          saved.set(algorithm, hasher.update(some).save());
        }
      }
    }
  }

  return {
    update: async (chunks) => {
      if (!(state instanceof SnapshotError)) add(chunks, [state.md5, state.part], state.saved);
    },
    beginPart: () => {
      if (!(state instanceof SnapshotError)) state.part = beginMd5();
    },
    updatePart: async (chunks) => {
      if (!(state instanceof SnapshotError)) add(chunks, [state.part], new Map());
    },
    partMd5: async () => {
      const { part } = usable();
      if (!part) throw new Error('no part was begun');
      return engine.digest(part);
    },
    snapshot: async () => {
      const { md5, saved } = usable();
      const states = new Map<DigestAlgorithm, Uint8Array>(saved);
      if (md5) states.set('md5', saveMd5(md5));
      return encodeSnapshot(states);
    },
    digests: async () => {
      const { md5, saved } = usable();
      const digests: DigestSet = {};
      if (md5) digests.md5 = engine.digest(md5);
      for (const [algorithm, before] of saved) {
        hashers[algorithm].load(before);
        digests[algorithm] = hashers[algorithm].digest('hex');
      }
      return digests;
    },
    close: () => undefined,
  };
}

function begin(algorithms: readonly DigestAlgorithm[]): State {
  const state: State = { md5: null, part: null, saved: new Map() };
  for (const algorithm of algorithms) {
    if (algorithm === 'md5') state.md5 = beginMd5();
    else state.saved.set(algorithm, hashers[algorithm].init().save());
  }
  return state;
}

function load(snapshot: Uint8Array): State | SnapshotError {
  try {
    const state = begin([]);
    for (const [algorithm, saved] of decodeSnapshot(snapshot)) {
      if (algorithm === 'md5') state.md5 = loadMd5(saved);
      else state.saved.set(algorithm, saved);
    }
    return state;
  } catch (error) {
    return new SnapshotError(error instanceof Error ? error.message : String(error), error);
  }
}
