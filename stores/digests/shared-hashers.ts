/**
 * The algorithms of hash-wasm: one instance of each, which many digests use by turns. About 12,950 live instances would
 * end the process, and a swap costs a few microseconds.
 *
 * | the instances hold | update                                  | save                 | digests                           | forget      |
 * |--------------------|-----------------------------------------|----------------------|-----------------------------------|-------------|
 * | this digest        | as it is                                | from the instances   | saved and read; then none is held | none is held |
 * | another            | the other is saved, then this is loaded | it is saved already  | used first, then as above         | no change   |
 * | none               | this is loaded                          | it is saved already  | used first, then as above         | no change   |
 */
import { createSHA1, createSHA256, type IHasher } from 'hash-wasm';
import { type DigestAlgorithm, type DigestSet, SnapshotError } from './digests.ts';

export type LibraryAlgorithm = Exclude<DigestAlgorithm, 'md5'>;

/** A digest's own states, one for each of its algorithms. They are behind while the digest is in the instances. */
export type SavedStates = Map<LibraryAlgorithm, Uint8Array>;

/** Ready for use. */
export interface Hashers {
  readonly instances: Record<LibraryAlgorithm, IHasher>;
  readonly initial: Record<LibraryAlgorithm, Uint8Array>;
}

/** Loads them: a snapshot may carry an algorithm that has since been switched off, so all are at hand. */
export async function loadHashers(): Promise<Hashers> {
  const instances = { sha1: await createSHA1(), sha256: await createSHA256() };
  return { instances, initial: { sha1: instances.sha1.init().save(), sha256: instances.sha256.init().save() } };
}

/** Without states nothing is done. */
export interface SharedHashers {
  initial(algorithm: LibraryAlgorithm): Uint8Array;
  update(states: SavedStates, bytes: Uint8Array): void;
  /** Afterwards the states are not behind. */
  save(states: SavedStates): void;
  /** @throws an error of hash-wasm, which refuses states of another build of its code, or of WebAssembly, over damaged ones. */
  digests(states: SavedStates): DigestSet;
  forget(states: SavedStates): void;
}

/** @param hashers - undefined while they are not loaded. */
export function createSharedHashers(hashers: () => Hashers | undefined): SharedHashers {
  /** Those that are in the instances. */
  let loaded: SavedStates | undefined;

  function ready(): Hashers {
    const found = hashers();
    if (!found) throw new SnapshotError('the hashers are not loaded');
    return found;
  }

  function use(states: SavedStates): void {
    if (loaded === states || states.size === 0) return;
    if (loaded) save(loaded);
    // Until all are loaded, the instances are nobody's.
    loaded = undefined;
    for (const [algorithm, state] of states) ready().instances[algorithm].load(state);
    loaded = states;
  }

  function save(states: SavedStates): void {
    if (loaded !== states) return;
    for (const algorithm of states.keys()) states.set(algorithm, ready().instances[algorithm].save());
  }

  return {
    initial: (algorithm) => ready().initial[algorithm],
    update: (states, bytes) => {
      use(states);
      for (const algorithm of states.keys()) ready().instances[algorithm].update(bytes);
    },
    save,
    digests: (states) => {
      const digests: DigestSet = {};
      use(states);
      save(states);
      // Reading a digest finishes the instances, also where it fails.
      if (loaded === states) loaded = undefined;
      for (const algorithm of states.keys()) digests[algorithm] = ready().instances[algorithm].digest('hex');
      return digests;
    },
    forget: (states) => {
      if (loaded === states) loaded = undefined;
    },
  };
}
