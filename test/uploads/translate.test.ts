import { expect, test } from 'vitest';
import { StoreError } from '../../stores/store.ts';
import { CatalogError } from '../../server/catalog/catalog.ts';
import { toTidemarkError } from '../../server/uploads/translate.ts';

test('clients are told when to try again where the store or the catalog is away', () => {
  for (const error of [new StoreError('unavailable', 'away'), new CatalogError('unavailable', 'away')]) {
    expect(toTidemarkError(error)).toMatchObject({ code: 'store_unavailable', retryAfterMs: 5_000 });
  }
  expect(toTidemarkError(new CatalogError('failed', 'broken'))).toMatchObject({
    code: 'internal',
    retryAfterMs: undefined,
  });
});
