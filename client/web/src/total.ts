/** Number and total size of all files: as the service reports them, without those whose deletion here can still be undone. */
import type { FileJson, FilesTotalJson } from '../../../server/wire/files.ts';
import { listFiles } from './api.ts';

export interface Total {
  /** Null while it is not known. */
  readonly value: FilesTotalJson | null;
  /** Takes the total that the service has reported. */
  set(told: FilesTotalJson): void;
  /** Asks the service again, soon: the total has changed. */
  renew(): void;
  /** Subtracts a file that the service still has. */
  withhold(file: FileJson): void;
  /** Undoes `withhold`. */
  giveBack(id: string): void;
  /** The service has deleted the file. */
  gone(id: string): void;
}

/** The wait before the service is asked: many files may come or go at once, and one request serves for all. */
const RENEW_MS = 500;

export function createTotal(onChange: () => void): Total {
  let told: FilesTotalJson | null = null;
  const withheld = new Map<string, number>();
  /** The withheld files that the service has deleted: its next total no longer contains them. */
  const gone = new Set<string>();
  let timer: number | undefined;

  async function ask(): Promise<void> {
    timer = undefined;
    const without = [...gone];
    // After a failure, the next change or the next list brings the total.
    const page = await listFiles({ limit: '1' }).catch(() => null);
    if (page === null) return;
    for (const id of without) {
      gone.delete(id);
      withheld.delete(id);
    }
    told = page.total;
    onChange();
  }

  function renew(): void {
    timer ??= window.setTimeout(() => void ask(), RENEW_MS);
  }

  return {
    get value() {
      if (told === null) return null;
      const sizes = [...withheld.values()];
      const bytes = told.bytes - sizes.reduce((sum, size) => sum + size, 0);
      return { files: Math.max(0, told.files - sizes.length), bytes: Math.max(0, bytes) };
    },
    set: (now) => {
      told = now;
    },
    renew,
    withhold: (file) => void withheld.set(file.id, file.size),
    giveBack: (id) => void withheld.delete(id),
    gone: (id) => {
      if (withheld.has(id)) gone.add(id);
      renew();
    },
  };
}
