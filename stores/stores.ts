/** All stores. Adding one is a folder and a line here. */
import { join } from 'node:path';
import { openLocalStore } from './local/store.ts';
import type { S3Settings } from './s3/settings.ts';
import type { Ledger, Store } from './store.ts';

/** Which store, by its name in `STORE`, and what it is opened with. */
export type StoreChoice = { kind: 'local' } | ({ kind: 's3' | 'ceph' | 'oss' } & S3Settings);

export interface StoreSettings {
  /** The service's folder (`DATA_DIR`). */
  dataDir: string;
  ledger: Ledger;
}

/**
 * Opens a store. Those in a bucket are loaded when they are asked for: the SDK is large.
 *
 * @throws StoreError `unavailable` when the store cannot be used.
 */
export async function openStore(choice: StoreChoice, { dataDir, ledger }: StoreSettings): Promise<Store> {
  switch (choice.kind) {
    case 'local':
      return openLocalStore({ folder: join(dataDir, 'files') });
    case 's3':
      return (await import('./s3/store.ts')).openS3Store(choice, ledger);
    case 'ceph':
      return (await import('./ceph/store.ts')).openCephStore(choice, ledger);
    case 'oss':
      return (await import('./oss/store.ts')).openOssStore(choice, ledger);
  }
}
