/** The dependencies of the domain; the composition root provides them. */
import type { Logger } from 'pino';
import type { DigestAlgorithm, DigestPool } from '../../stores/digests/digests.ts';
import type { Store } from '../../stores/store.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Quota } from '../catalog/quotas.ts';
import type { InstantPolicy } from '../config/config.ts';
import type { Leases } from '../leases/leases.ts';
import type { Cleaning } from './cleaning.ts';
import type { KeyedMutex } from './keyed-mutex.ts';
import type { LaterDigests } from './later-digests.ts';

export interface Limits {
  /** Largest file in bytes; null: none. */
  maxFileSizeBytes: number | null;
  uploadTtlMs: number;
  /** How long deleted files can be restored; 0: not at all. */
  trashTtlMs: number;
  lockTimeoutMs: number;
  /** Most unfinished uploads of one owner. */
  maxOpenUploads: number;
  quotaOf: (owner: string) => Quota;
  instant: InstantPolicy;
  /** The digests that are computed for every file. */
  digests: readonly DigestAlgorithm[];
  /** How long the presigned addresses of downloads are valid; null: the service delivers the bytes itself. */
  addressLifeMs: number | null;
}

export interface Parts {
  catalog: Catalog;
  store: Store;
  leases: Leases;
  digests: DigestPool;
  limits: Limits;
  /** Of the catalog, the same on every node; what is derived from it says for what. */
  secret: string;
  /** Timers, turns of the event loop, and randomness. When something expires is decided by the catalog's clock. */
  surroundings: Surroundings;
  /** Digests that are computed after publication. */
  later: LaterDigests;
  log: Logger;
  /** Removals that go on after the answer to a request. */
  cleaning: Cleaning;
  /**
   * Held, by MD5, while the bytes of a content are made final or removed: a publication and a removal of the same MD5
   * must not overlap.
   */
  contentMutex: KeyedMutex;
  /** Aborted when the service begins to stop. Its reason is the answer of the running requests. */
  stopping: AbortSignal;
}
