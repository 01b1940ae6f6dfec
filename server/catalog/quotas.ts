/**
 * Quotas: how much an owner may have. See docs/decisions/0071-quotas.md.
 *
 * What must hold:
 * - No method makes an owner have more than their quota, however many calls there are at once, on however many nodes. What would is
 *   refused with `OverQuota`, and nothing is changed.
 * - An upload counts from its beginning: as a file, and with its declared or expected length, or with what has arrived of it, where
 *   that is more. A final counts in place of the partials that it joins. One too many of unknown size is as an open upload too many.
 * - What an owner has already stays, also where a quota was lowered. Publication, restoring and renaming are never refused: they add
 *   nothing to what is counted.
 */
import { CatalogError, type OwnerTotal } from './catalog.ts';

/**
 * The most finals of unknown size that an owner with a quota has open. What they join is summed up whenever an upload begins, in
 * SQLite on the main thread: 512 partials each.
 */
export const MOST_UNKNOWN_FINALS = 16;

/** Null: no limit. */
export interface Quota {
  /** Of files, trash and unfinished uploads together. */
  bytes: number | null;
  files: number | null;
  /** Unfinished uploads; null: as many as any owner may have. */
  openUploads: number | null;
}

export const NO_QUOTA: Quota = Object.freeze({ bytes: null, files: null, openUploads: null });

/** What an owner has. */
export interface Usage {
  files: OwnerTotal;
  trash: OwnerTotal;
  /** Unfinished uploads, how many files these will be, and the bytes that they will have as far as that is known. */
  uploads: OwnerTotal & { open: number };
}

/** The part of `Catalog` that is about them. `createUpload`, `publishAtOnce`, `declareLength`, `expectLength` and `addFile` keep them. */
export interface QuotaMethods {
  usageOf(owner: string): Promise<Usage>;
}

/** A change would give an owner more than their quota. Nothing was changed. */
export class OverQuota extends CatalogError {
  readonly limit: 'bytes' | 'files';
  readonly quota: Quota;
  /** What the owner has without the change. */
  readonly usage: Usage;

  constructor(limit: 'bytes' | 'files', quota: Quota, usage: Usage) {
    super('over_quota', `the quota of ${limit} does not allow it`);
    this.name = 'OverQuota';
    this.limit = limit;
    this.quota = quota;
    this.usage = usage;
  }
}

/** All that counts. */
export function sumOf({ files, trash, uploads }: Usage): OwnerTotal {
  return { files: files.files + trash.files + uploads.files, bytes: files.bytes + trash.bytes + uploads.bytes };
}

/**
 * Which limit a change passes; null: none.
 *
 * @param isNew - all of what there is afterwards counts as added by the change.
 */
export function limitPassed(
  quota: Quota,
  before: OwnerTotal,
  after: OwnerTotal,
  isNew = false,
): 'bytes' | 'files' | null {
  const passes = (limit: 'bytes' | 'files') => after[limit] > (quota[limit] ?? Infinity);
  if (passes('files') && after.files > before.files) return 'files';
  return passes('bytes') && (isNew || after.bytes > before.bytes) ? 'bytes' : null;
}
