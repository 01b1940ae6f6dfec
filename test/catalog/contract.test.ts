import { describeCatalogContract } from './contract.ts';
import { CATALOG_GROUNDS } from './grounds.ts';

for (const ground of CATALOG_GROUNDS) describeCatalogContract(ground);
