/** The suite that every catalog dialect passes. */
import { afterEach, beforeEach, describe } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import type { Quota } from '../../server/catalog/quotas.ts';
import { describeAllBelow } from './contract-all-below.ts';
import { describeEvents } from './contract-events.ts';
import { describeFinals } from './contract-finals.ts';
import { describeFolderDeletion } from './contract-folder-deletion.ts';
import { describeFolders } from './contract-folders.ts';
import { describeFiles } from './contract-files.ts';
import { describeLeases } from './contract-leases.ts';
import { describeLinks } from './contract-links.ts';
import { describeListings } from './contract-listings.ts';
import { describeSentUploads } from './contract-sent-uploads.ts';
import { describePublication } from './contract-publication.ts';
import { describeQuotas } from './contract-quotas.ts';
import { describeTrash } from './contract-trash.ts';
import { describeUploads } from './contract-uploads.ts';

/** What the catalog goes by. */
export interface TestClock {
  nowMs: number;
}

export interface SharedCatalog {
  catalog: Catalog;
  clock: TestClock;
}

/** A catalog of its own for one test. */
export interface TestCatalog {
  catalog: Catalog;
  /** Begins at T0. */
  clock: TestClock;
  /** Closes the catalog and opens the same one again. */
  reopen(quotaOf?: (owner: string) => Quota): Promise<Catalog>;
  /** One that several nodes share, by a clock that the test sets. */
  openShared(): Promise<SharedCatalog>;
  /** Closes them and removes what they left. */
  dispose(): Promise<void>;
}

/** The catalog of the running test. */
export type Current = () => TestCatalog;

/** A dialect on which the suite runs. */
export interface CatalogGround {
  name: string;
  isHere: boolean;
  /** Only publication, in which each method is a transaction of many steps: for another way to a dialect. */
  isOtherWay?: boolean;
  /** A new, empty catalog. */
  open(): Promise<TestCatalog>;
}

/** Runs the contract suite on a ground; it is skipped where that is not here. */
export function describeCatalogContract({ name, isHere, isOtherWay = false, open }: CatalogGround): void {
  describe.skipIf(!isHere)(`catalog contract: ${name}`, () => {
    let current: TestCatalog | undefined;

    beforeEach(async () => {
      current = await open();
    });

    afterEach(async () => {
      await current?.dispose();
      current = undefined;
    });

    function running(): TestCatalog {
      if (!current) throw new Error('no test is running');
      return current;
    }

    describePublication(running);
    if (isOtherWay) return;
    describeFolders(running);
    describeFolderDeletion(running);
    describeUploads(running);
    describeFinals(running);
    describeFiles(running);
    describeListings(running);
    describeLinks(running);
    describeAllBelow(running);
    describeSentUploads(running);
    describeTrash(running);
    describeQuotas(running);
    describeLeases(() => running().openShared());
    describeEvents(running);
  });
}
