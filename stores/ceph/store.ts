/** The Ceph store: the S3 store with Ceph's preset. */
import type { S3Settings } from '../s3/settings.ts';
import { type BucketTime, openBucketStore } from '../s3/store.ts';
import type { Ledger, Store } from '../store.ts';
import { CEPH_PRESET } from './preset.ts';

/** @throws StoreError `unavailable` when the bucket cannot be used. */
export function openCephStore(settings: S3Settings, ledger: Ledger, time?: BucketTime): Promise<Store> {
  return openBucketStore(CEPH_PRESET, settings, ledger, time);
}
