/**
 * Number and total size of the files below the open folder: as the service reports them, without those whose deletion here can still
 * be undone.
 */
import type { FilesTotalJson } from '../../../server/wire/files.ts';
import { isWithin } from '../../core/listing.ts';
import { listFiles } from './api.ts';
import { findFolder } from './api-folders.ts';

export interface Total {
  /** Null while it is not known. */
  readonly value: FilesTotalJson | null;
  /** Counts what is below this folder from now on; empty: all files. */
  show(folder: string): void;
  /** Takes the total of all files that the service has reported. */
  set(told: FilesTotalJson): void;
  /** Asks the service again, soon: the total has changed. */
  renew(): void;
  /** Subtracts what the service still has: a file, or a folder with all below it. */
  withhold(key: string, path: string, sum: FilesTotalJson): void;
  /** Undoes `withhold`. */
  giveBack(key: string): void;
  /** The service has deleted it. */
  gone(key: string): void;
}

/** The wait before the service is asked: many files may come or go at once, and one request serves for all. */
const RENEW_MS = 500;

export function createTotal(onChange: () => void): Total {
  let folder = '';
  let told: FilesTotalJson | null = null;
  const withheld = new Map<string, { path: string; sum: FilesTotalJson }>();
  /** What is withheld and the service has deleted: its next total no longer contains it. */
  const gone = new Set<string>();
  let timer: number | undefined;

  async function ask(): Promise<void> {
    timer = undefined;
    const without = [...gone];
    const asked = folder;
    // After a failure, the next change or the next list brings the total.
    const total = await askTotal(asked).catch(() => null);
    if (total === null || asked !== folder) return;
    for (const key of without) {
      gone.delete(key);
      withheld.delete(key);
    }
    told = total;
    onChange();
  }

  function renew(): void {
    timer ??= window.setTimeout(() => void ask(), RENEW_MS);
  }

  return {
    get value() {
      if (told === null) return null;
      const off = [...withheld.values()].filter(({ path }) => isWithin(path, folder)).map(({ sum }) => sum);
      return {
        files: Math.max(
          0,
          off.reduce((left, { files }) => left - files, told.files),
        ),
        bytes: Math.max(
          0,
          off.reduce((left, { bytes }) => left - bytes, told.bytes),
        ),
      };
    },
    show: (path) => {
      if (path === folder) return;
      folder = path;
      told = null;
      clearTimeout(timer);
      timer = undefined;
      if (folder !== '') void ask();
      // The list has the total, without what is gone, which must not be subtracted from it.
      else if (gone.size > 0) renew();
    },
    set: (now) => {
      if (folder === '') told = now;
    },
    renew,
    withhold: (key, path, sum) => void withheld.set(key, { path, sum }),
    giveBack: (key) => void withheld.delete(key),
    gone: (key) => {
      if (withheld.has(key)) gone.add(key);
      renew();
    },
  };
}

async function askTotal(folder: string): Promise<FilesTotalJson> {
  if (folder === '') return (await listFiles({ limit: '1' })).total;
  // A folder goes with its last file.
  return (await findFolder(folder)) ?? { files: 0, bytes: 0 };
}
