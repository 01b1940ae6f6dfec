/** All stores. Adding one is a folder and a line here. */
import { join } from 'node:path';
import { CEPH_PRESET } from './ceph/preset.ts';
import { openLocalStore } from './local/store.ts';
import { OSS_PRESET } from './oss/preset.ts';
import { S3_PRESET } from './s3/preset.ts';
import type { Preset, S3Settings } from './s3/settings.ts';
import type { Ledger, Store } from './store.ts';

/** Which store, by its name in `STORE`, and what it is opened with. */
export type StoreChoice = { kind: 'local' } | ({ kind: BucketKind } & S3Settings);
type BucketKind = 's3' | 'ceph' | 'oss';

/** How the providers of buckets differ, for who speaks to them without a store. */
export const PRESETS: Readonly<Record<BucketKind, Preset>> = { s3: S3_PRESET, ceph: CEPH_PRESET, oss: OSS_PRESET };

export interface StoreSettings {
  /** The service's folder (`DATA_DIR`). */
  dataDir: string;
  ledger: Ledger;
  /** What time it is, for what is removed once it is old: never ahead of the truth. */
  now?: () => number;
}

/**
 * Opens a store. Those in a bucket are loaded when they are asked for: the SDK is large.
 *
 * @throws StoreError `unavailable` when the store cannot be used.
 */
export async function openStore(choice: StoreChoice, { dataDir, ledger, now }: StoreSettings): Promise<Store> {
  switch (choice.kind) {
    case 'local':
      return openLocalStore({ folder: join(dataDir, 'files'), durable: () => ledger.durable(), now });
    case 's3':
      return (await import('./s3/store.ts')).openS3Store(choice, ledger, now);
    case 'ceph':
      return (await import('./ceph/store.ts')).openCephStore(choice, ledger, now);
    case 'oss':
      return (await import('./oss/store.ts')).openOssStore(choice, ledger, now);
  }
}
