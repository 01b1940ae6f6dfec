/** The list of all stores. A new one is a folder, and its cases here. */
import { join } from 'node:path';
import { CEPH_PRESET } from './ceph/preset.ts';
import { readFolder } from './local/contents.ts';
import { identityOf } from './local/files.ts';
import { createPlace } from './local/place.ts';
import { openLocalStore } from './local/store.ts';
import { OSS_PRESET } from './oss/preset.ts';
import { S3_PRESET } from './s3/preset.ts';
import type { Preset, S3Settings } from './s3/settings.ts';
import type { Section } from './section.ts';
import type { ClosedPlace, ContentReader, Ledger, Store } from './store.ts';
import type { Surroundings } from './surroundings.ts';

/** Which store to open, by its name in `STORE`, and with which settings. */
export type StoreChoice = { kind: 'local' } | ({ kind: BucketKind } & S3Settings);
type BucketKind = 's3' | 'ceph' | 'oss';

/** How the providers of buckets differ. */
const PRESETS: Readonly<Record<BucketKind, Preset>> = { s3: S3_PRESET, ceph: CEPH_PRESET, oss: OSS_PRESET };

export interface StoreSettings {
  /** The service's folder (`DATA_DIR`). */
  dataDir: string;
  ledger: Ledger;
  /** The time by which old bytes are removed: it may be late, but is never early. By default the machine's clock. */
  now?: () => number;
  /** By default the machine's. */
  surroundings?: Surroundings;
}

const folderIn = (dataDir: string): string => join(dataDir, 'files');

/** Describes the place of a store without opening it. */
export async function placeOf(choice: StoreChoice, dataDir: string): Promise<ClosedPlace> {
  switch (choice.kind) {
    case 'local':
      return createPlace(folderIn(dataDir), () => true);
    case 's3':
    case 'ceph':
    case 'oss':
      return (await import('./s3/place.ts')).closedPlace(PRESETS[choice.kind], choice);
  }
}

/** Nothing of it is asked for, as nothing is written. */
const NO_LEDGER: Ledger = { parts: async () => [], durable: async () => undefined, contentKeys: async () => new Set() };

/**
 * The contents of a store that is not open. A bucket is only asked whether it can be listed.
 *
 * @throws StoreError `unavailable` when it cannot be used.
 */
export async function readContentsOf(choice: StoreChoice, dataDir: string): Promise<ContentReader> {
  return choice.kind === 'local' ? readFolder(folderIn(dataDir)) : openStore(choice, { dataDir, ledger: NO_LEDGER });
}

/** Whether both are one place. A bucket's other address is not seen through. */
export async function isSamePlace(
  [one, oneDir]: readonly [StoreChoice, string],
  [other, otherDir]: readonly [StoreChoice, string],
): Promise<boolean> {
  if (one.kind === 'local' || other.kind === 'local') {
    if (one.kind !== other.kind) return false;
    const [folder, otherFolder] = [folderIn(oneDir), folderIn(otherDir)];
    return folder === otherFolder || (identityOf(folder) ?? folder) === (identityOf(otherFolder) ?? otherFolder);
  }
  const same = ['endpoint', 'bucket', 'prefix'] as const;
  return same.every((field) => one[field] === other[field]) && (one.endpoint !== null || one.region === other.region);
}

/**
 * The doctor's section on a store.
 *
 * @param signal - aborts running calls.
 */
export async function inspectStore(choice: StoreChoice, dataDir: string, signal: AbortSignal): Promise<Section> {
  switch (choice.kind) {
    case 'local':
      return (await import('./local/doctor.ts')).localSection(folderIn(dataDir));
    case 's3':
    case 'ceph':
    case 'oss':
      return (await import('./s3/doctor/section.ts')).bucketSection(PRESETS[choice.kind], choice, signal);
  }
}

/**
 * Opens a store. The code of those in a bucket is loaded only here, as the SDK is large.
 *
 * @throws StoreError `unavailable` when the store cannot be used.
 */
export async function openStore(
  choice: StoreChoice,
  { dataDir, ledger, now, surroundings }: StoreSettings,
): Promise<Store> {
  switch (choice.kind) {
    case 'local':
      return openLocalStore({ folder: folderIn(dataDir), durable: () => ledger.durable(), now, surroundings });
    case 's3':
      return (await import('./s3/store.ts')).openS3Store(choice, ledger, { now, surroundings });
    case 'ceph':
      return (await import('./ceph/store.ts')).openCephStore(choice, ledger, { now, surroundings });
    case 'oss':
      return (await import('./oss/store.ts')).openOssStore(choice, ledger, { now, surroundings });
  }
}
