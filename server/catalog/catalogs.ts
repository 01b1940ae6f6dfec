/** All catalogs. Adding one is a folder and a line here. */
import type { Section } from '../../stores/section.ts';
import type { Surroundings } from '../../stores/surroundings.ts';
import { type Catalog, CatalogError, type ClockNews } from './catalog.ts';
import type { Notices, NoticesOptions } from './notices.ts';
import { nameOf } from './postgres/address.ts';
import { mayHaveId, readBelonging } from './sqlite/inspect.ts';
import { openSqliteCatalog } from './sqlite/open.ts';

/** Which catalog, by the scheme of `DATABASE_URL`, and what it is opened with. */
export type CatalogChoice =
  | { kind: 'sqlite'; file: string }
  /** `directUrl`: past a pooler. `ca`: certificates in PEM that are trusted. */
  | { kind: 'postgres'; url: string; directUrl: string | null; ca: string | null; poolSize: number };

export interface CatalogSettings {
  /** What was committed may not be durable: the process is to end. */
  onFailure?: (error: CatalogError) => void;
  /** The operator says to continue with what is there, where a part of it does not belong to the rest. */
  adopt?: boolean;
  /** Told in a sentence what was found at the opening. */
  tell?: (found: string) => void;
  /** For a database without a clock of its own: what the machine tells of the time. */
  time?: Pick<Surroundings, 'wallMs' | 'elapsedMs' | 'uptimeMs' | 'bootId'>;
  /** Such a database believes a wall clock that has jumped once it has held for as long: no less than the longest life. */
  believeAfterMs?: number;
  tellOfClock?: (news: ClockNews) => void;
}

/** A catalog that is not open. Looking at it changes nothing, and disturbs no service that has it open. */
export interface ClosedCatalog {
  /** For people: where it is. */
  readonly name: string;
  /**
   * Whether opening would find this id in it. False for one that is still to be made.
   *
   * @throws CatalogError `unavailable`, saying why a service could not use it.
   */
  mayHaveId(id: string): Promise<boolean>;
  /** Its id, and the place it was used with; undefined where there is no catalog with an id yet. */
  readIds(): Promise<{ id: string; place: string | undefined } | undefined>;
  /** The doctor's steps on it, `catalog` among them. */
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
 * Opens the catalog, which is made where it is missing.
 *
 * @throws CatalogError `unavailable` when it cannot be used, saying why.
 */
export async function openCatalog(choice: CatalogChoice, settings: CatalogSettings): Promise<Catalog> {
  switch (choice.kind) {
    case 'sqlite':
      return openSqliteCatalog({ file: choice.file, ...settings });
    case 'postgres':
      return (await import('./postgres/open.ts')).openPostgresCatalog(choice);
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
