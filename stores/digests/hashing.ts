/**
 * Digests as states that change hands: what the worker threads compute, and what is computed where the bytes are.
 * MD5 is computed in the memory where the bytes lie. Of each other algorithm there is one hash-wasm instance, whose
 * state is swapped between digests: about 12,950 live instances would end the process, and a swap costs a few
 * microseconds.
 */
import { createSHA1, createSHA256, type IHasher } from 'hash-wasm';
import { type DigestAlgorithm, type DigestSet, SnapshotError } from './digests.ts';
import { beginMd5, createMd5Engine, loadMd5, type Md5State, saveMd5 } from './md5.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts';

type LibraryAlgorithm = Exclude<DigestAlgorithm, 'md5'>;

/** The algorithms of hash-wasm, ready for use. */
export interface Hashers {
  readonly instances: Record<LibraryAlgorithm, IHasher>;
  readonly initial: Record<LibraryAlgorithm, Uint8Array>;
}

/** Loads them: a snapshot may carry an algorithm that has since been switched off, so all are at hand. */
export async function loadHashers(): Promise<Hashers> {
  const instances = { sha1: await createSHA1(), sha256: await createSHA256() };
  return { instances, initial: { sha1: instances.sha1.init().save(), sha256: instances.sha256.init().save() } };
}

/** A digest under way. */
export interface Digest {
  md5: Md5State | null;
  /** The MD5 of a part of the bytes. */
  part: Md5State | null;
  /** States of the others. */
  saved: Map<LibraryAlgorithm, Uint8Array>;
}

/** What a digest begins with: nothing, by these algorithms, or a snapshot; and the saved MD5 of a part. */
export interface DigestStart {
  from: Uint8Array | readonly DigestAlgorithm[];
  part?: Uint8Array | null;
}

export interface Hashing {
  /** @throws SnapshotError. */
  open(start: DigestStart): Digest;
  /** From here on the MD5 of what is added is computed by itself, too. */
  beginPart(digest: Digest): void;
  /** Adds bytes of the memory to all, or to the part alone. */
  update(digest: Digest, at: number, length: number, to: 'all' | 'part'): void;
  /** State after everything added so far, without the part. */
  snapshot(digest: Digest): Uint8Array;
  /** Its part as it is now, to be resumed elsewhere; null where none was begun. */
  savePart(digest: Digest): Uint8Array | null;
  /** Digests of everything added so far. */
  digests(digest: Digest): DigestSet;
  /** @throws SnapshotError where no part was begun. */
  partMd5(digest: Digest): string;
  /** The digest will not be used any more. */
  forget(digest: Digest): void;
}

/**
 * @param scratch - address of `SCRATCH_BYTES` of the memory that nobody else uses.
 * @param hashers - without them, by MD5 alone.
 */
export function createHashing(
  memory: WebAssembly.Memory,
  scratch: number,
  hashers: () => Hashers | undefined,
): Hashing {
  const md5 = createMd5Engine(memory, scratch);
  /** The digest whose states are in the hashers: its `saved` may be behind them. */
  let loaded: Digest | undefined;

  function requireHashers(): Hashers {
    const found = hashers();
    if (!found) throw new SnapshotError('the hashers are not loaded');
    return found;
  }

  /** Brings a digest's states into the hashers. */
  function bringIn(digest: Digest): void {
    if (loaded === digest || digest.saved.size === 0) return;
    takeOut();
    for (const [algorithm, state] of digest.saved) requireHashers().instances[algorithm].load(state);
    loaded = digest;
  }

  /** Writes the hashers' states back to the digest they belong to. */
  function takeOut(): void {
    for (const algorithm of loaded?.saved.keys() ?? []) {
      loaded?.saved.set(algorithm, requireHashers().instances[algorithm].save());
    }
  }

  function resume(snapshot: Uint8Array): Digest {
    const digest: Digest = { md5: null, part: null, saved: new Map() };
    try {
      for (const [algorithm, state] of decodeSnapshot(snapshot)) {
        if (algorithm === 'md5') digest.md5 = loadMd5(state);
        else digest.saved.set(algorithm, state);
      }
      // hash-wasm refuses states of another build of its code: better now than at the end.
      bringIn(digest);
      return digest;
    } catch (error) {
      loaded = undefined;
      if (error instanceof SnapshotError) throw error;
      throw new SnapshotError(error instanceof Error ? error.message : String(error), error);
    }
  }

  function begin(algorithms: readonly DigestAlgorithm[]): Digest {
    const digest: Digest = { md5: null, part: null, saved: new Map() };
    for (const algorithm of algorithms) {
      if (algorithm === 'md5') digest.md5 = beginMd5();
      else digest.saved.set(algorithm, requireHashers().initial[algorithm]);
    }
    return digest;
  }

  return {
    open: ({ from, part }) => {
      const digest = from instanceof Uint8Array ? resume(from) : begin(from);
      if (part) digest.part = loadMd5(part);
      return digest;
    },

    beginPart: (digest) => {
      digest.part = beginMd5();
    },

    update: (digest, at, length, to) => {
      const chains = [to === 'all' ? digest.md5 : null, digest.part].filter((state) => state !== null);
      md5.update(chains, at, length);
      if (to === 'part' || digest.saved.size === 0) return;
      bringIn(digest);
      const bytes = new Uint8Array(memory.buffer, at, length);
      for (const algorithm of digest.saved.keys()) requireHashers().instances[algorithm].update(bytes);
    },

    snapshot: (digest) => {
      if (loaded === digest) takeOut();
      const states = new Map<DigestAlgorithm, Uint8Array>(digest.saved);
      if (digest.md5) states.set('md5', saveMd5(digest.md5));
      return encodeSnapshot(states);
    },

    savePart: ({ part }) => part && saveMd5(part),

    digests: (digest) => {
      const digests: DigestSet = {};
      if (digest.md5) digests.md5 = md5.digest(digest.md5);
      if (digest.saved.size === 0) return digests;
      bringIn(digest);
      takeOut();
      for (const algorithm of digest.saved.keys()) {
        digests[algorithm] = requireHashers().instances[algorithm].digest('hex');
      }
      // Reading a digest finishes the instance: the next digest starts from the saved states.
      loaded = undefined;
      return digests;
    },

    partMd5: ({ part }) => {
      if (!part) throw new SnapshotError('no part was begun');
      return md5.digest(part);
    },

    forget: (digest) => {
      if (loaded === digest) loaded = undefined;
    },
  };
}
