/** All stores. Adding one is a folder and a line here. */
import { join } from 'node:path';
import { openLocalStore } from './local/store.ts';
import type { Store } from './store.ts';

export interface StoreSettings {
  /** The service's folder (`DATA_DIR`). */
  dataDir: string;
}

const OPEN = {
  local: ({ dataDir }: StoreSettings): Promise<Store> => openLocalStore({ folder: join(dataDir, 'files') }),
};

/** Names of the stores there are, for `STORE`. */
export type StoreKind = keyof typeof OPEN;

/** @throws StoreError `unavailable` when the store cannot be used. */
export function openStore(kind: StoreKind, settings: StoreSettings): Promise<Store> {
  return OPEN[kind](settings);
}
