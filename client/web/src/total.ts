/** How many files there are, and how large they are together: as the service says, less what is just being deleted here. */
import type { FileJson, FilesTotalJson } from '../../../server/wire/files.ts';
import { listFiles } from './api.ts';

export interface Total {
  /** Null while it is not known. */
  readonly value: FilesTotalJson | null;
  /** The service has said it. */
  set(told: FilesTotalJson): void;
  /** It has changed at the service: it is asked, soon. */
  renew(): void;
  /** The file no longer counts, though the service still has it. */
  withhold(file: FileJson): void;
  giveBack(id: string): void;
  /** The service no longer has it. */
  gone(id: string): void;
}

/** Many files may come or go at once: it is asked once for all of them. */
const RENEW_MS = 500;

export function createTotal(onChange: () => void): Total {
  let told: FilesTotalJson | null = null;
  const withheld = new Map<string, number>();
  /** Of those withheld: what the service says from now on is without them. */
  const gone = new Set<string>();
  let timer: number | undefined;

  async function ask(): Promise<void> {
    timer = undefined;
    const without = [...gone];
    // What is not answered is asked again with the next change, or with the next list.
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
