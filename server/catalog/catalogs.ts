/** The list of all catalogs. A new one is a folder, and its cases here. */
import type { Section } from '../../stores/section.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import { type Catalog, CatalogError, type ClockNews } from './catalog.ts';
import type { Notices, NoticesOptions } from './notices.ts';
import type { Quota } from './quotas.ts';
import { nameOf } from './postgres/address.ts';
import { mayHaveId, readBelonging } from './sqlite/inspect.ts';
import { openSqliteCatalog } from './sqlite/open.ts';

/** Which catalog to open, and with which settings. */
export type CatalogChoice =
  | { kind: 'sqlite'; file: string }
  /** `directUrl`: an address past a pooler. `ca`: trusted certificates in PEM. */
  | { kind: 'postgres'; url: string; directUrl: string | null; ca: string | null; poolSize: number };

export interface CatalogSettings {
  /** Called when committed changes may not be durable: the process has to exit. */
  onFailure?: (error: CatalogError) => void;
  /** `--adopt`: continue also where catalog and log do not belong together. */
  adopt?: boolean;
  /** Called with a sentence for each finding at the opening, and for some that come later. */
  tell?: (found: string) => void;
  /** Left out: nobody has a quota. */
  quotaOf?: ((owner: string) => Quota) | undefined;
  /** For SQLite, which has no clock of its own: the machine's clocks. */
  time?: Pick<Surroundings, 'wallMs' | 'elapsedMs' | 'uptimeMs' | 'bootId'>;
  /** For SQLite: how long the wall clock must not jump again until it is believed; at least the longest lifetime. */
  believeAfterMs?: number;
  /** For SQLite: called when the machine's clock has jumped, or is believed again. */
  tellOfClock?: (news: ClockNews) => void;
}

/** A catalog that is not opened. These methods change nothing in it, and do not disturb a service that has it open. */
export interface ClosedCatalog {
  /** For people: its file or address, without a password. */
  readonly name: string;
  /**
   * Whether a start would find this id in it. False where there is no catalog yet.
   *
   * @throws CatalogError `unavailable`, saying why a service could not use it.
   */
  mayHaveId(id: string): Promise<boolean>;
  /** Its id, and the place with which it was used; undefined where there is no catalog with an id yet. */
  readIds(): Promise<{ id: string; place: string | undefined } | undefined>;
  /** The doctor's section on it; the step `catalog` is among its steps. */
  inspect(): Promise<Section>;
  /**
   * All of it, to be moved elsewhere, while no service can open it.
   *
   * @throws CatalogError `unavailable` where a service has it open, or could not use it.
   */
  copy(): Promise<CatalogCopy>;
}

/** A catalog of which nothing is changed. */
export interface CatalogCopy {
  /** As it was when it was copied, and brought up to date. */
  readonly catalog: Catalog;
  /** The same for as long as no service has it open. */
  readonly fingerprint: string;
  /** @throws CatalogError `unavailable` where a service has changed it since. */
  requireUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the catalog, and creates it where it is missing.
 *
 * @throws CatalogError `unavailable` when it cannot be used, saying why.
 */
export async function openCatalog(choice: CatalogChoice, settings: CatalogSettings): Promise<Catalog> {
  switch (choice.kind) {
    case 'sqlite':
      return openSqliteCatalog({ file: choice.file, ...settings });
    case 'postgres':
      return (await import('./postgres/open.ts')).openPostgresCatalog({ ...choice, quotaOf: settings.quotaOf });
  }
}

/** The notices between its nodes; undefined where it has one node only. */
export async function openNotices(choice: CatalogChoice, options: NoticesOptions): Promise<Notices | undefined> {
  switch (choice.kind) {
    case 'sqlite':
      return undefined;
    case 'postgres':
      return (await import('./postgres/notices.ts')).openPostgresNotices(choice, options);
  }
}

/** The same catalog, not opened. */
export function closedCatalog(choice: CatalogChoice): ClosedCatalog {
  switch (choice.kind) {
    case 'sqlite': {
      const { file } = choice;
      return {
        name: file,
        mayHaveId: (id) => mayHaveId(file, id),
        readIds: async () => readBelonging(file),
        inspect: async () => (await import('./sqlite/doctor.ts')).sqliteSection(file),
        copy: async () => (await import('./sqlite/copy.ts')).copySqliteCatalog(file),
      };
    }
    case 'postgres': {
      const readIds = async () => (await import('./postgres/inspect.ts')).readBelonging(choice);
      return {
        name: nameOf(choice.url),
        mayHaveId: async (id) => (await readIds())?.id === id,
        readIds,
        inspect: async () => (await import('./postgres/doctor.ts')).postgresSection(choice),
        copy: async () => {
          const why = 'only a catalog in SQLite can be moved; one in PostgreSQL moves with pg_dump and pg_restore';
          throw new CatalogError('unavailable', `${nameOf(choice.url)}: ${why}`);
        },
      };
    }
  }
}
