/**
 * The algorithms of hash-wasm: one instance of each, which many digests use in turns. With an instance for each digest,
 * about 12,950 of them would crash the process; and a swap costs only a few microseconds.
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

/** A digest's saved states, one for each of its algorithms. They are outdated while the instances hold the digest. */
export type SavedStates = Map<LibraryAlgorithm, Uint8Array>;

/** The loaded algorithms: their instances, and the states before the first byte. */
export interface Hashers {
  readonly instances: Record<LibraryAlgorithm, IHasher>;
  readonly initial: Record<LibraryAlgorithm, Uint8Array>;
}

/** Loads all algorithms: a snapshot may have one that the settings have switched off since. */
export async function loadHashers(): Promise<Hashers> {
  const instances = { sha1: await createSHA1(), sha256: await createSHA256() };
  return { instances, initial: { sha1: instances.sha1.init().save(), sha256: instances.sha256.init().save() } };
}

/** The shared instances. For a digest without states, the methods do nothing. */
export interface SharedHashers {
  initial(algorithm: LibraryAlgorithm): Uint8Array;
  update(states: SavedStates, bytes: Uint8Array): void;
  /** Brings the states up to date. */
  save(states: SavedStates): void;
  /** @throws an error of hash-wasm for states of another build of its code; of WebAssembly for damaged ones. */
  digests(states: SavedStates): DigestSet;
  forget(states: SavedStates): void;
}

/** Shares the instances of one thread. @param hashers - undefined while they are not loaded. */
export function createSharedHashers(hashers: () => Hashers | undefined): SharedHashers {
  /** The states of the digest that the instances hold. */
  let loaded: SavedStates | undefined;

  function ready(): Hashers {
    const found = hashers();
    if (!found) throw new SnapshotError('the hashers are not loaded');
    return found;
  }

  function use(states: SavedStates): void {
    if (loaded === states || states.size === 0) return;
    if (loaded) save(loaded);
    // Until all states are loaded, the instances hold no digest.
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
