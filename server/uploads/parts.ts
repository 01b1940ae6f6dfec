/** What the life of an upload is made of; handed in by the composition root. */
import type { Logger } from 'pino';
import type { DigestAlgorithm, DigestPool } from '../../stores/digests/digests.ts';
import type { Store } from '../../stores/store.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { InstantPolicy } from '../config/config.ts';
import type { Leases } from '../leases/leases.ts';
import type { KeyedMutex } from './keyed-mutex.ts';
import type { LaterDigests } from './later-digests.ts';

export interface Limits {
  /** Largest file in bytes; null: none. */
  maxFileSizeBytes: number | null;
  uploadTtlMs: number;
  lockTimeoutMs: number;
  /** Unfinished uploads of one owner. */
  maxOpenUploads: number;
  instant: InstantPolicy;
  /** Those that are computed for every file. */
  digests: readonly DigestAlgorithm[];
  /** How long addresses of the store hold that downloads are sent to; null: the bytes go through the service. */
  addressLifeMs: number | null;
}

export interface Parts {
  catalog: Catalog;
  store: Store;
  leases: Leases;
  digests: DigestPool;
  limits: Limits;
  /** Timers, turns and chance. What time it is for the life of things, the catalog says. */
  surroundings: Surroundings;
  /** Digests that are computed after publication. */
  later: LaterDigests;
  log: Logger;
  /**
   * Held, by MD5, while the bytes of a content are made final or removed: publication and removal of the same name
   * must not cross.
   */
  contentMutex: KeyedMutex;
  /** Aborted when the service begins to stop; the reason is what running requests answer. */
  stopping: AbortSignal;
}
