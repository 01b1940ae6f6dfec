/** An upload that has all its bytes, and is not published yet: no answer to a look may be taken for "complete". */
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { CatalogError } from '../../server/catalog/catalog.ts';
import { makeBytes } from '../harness/bytes.ts';
import { openHouse } from './support.ts';

const bytes = makeBytes(1000, 58);
const NEVER = new AbortController().signal;

test('HEAD waits while the request whose publication failed gives its lease back', async () => {
  const house = await openHouse({});
  const { catalog } = house.parts;
  const id = await house.begin(bytes);
  const { publish, releaseLease } = catalog;
  catalog.publish = async () => {
    catalog.publish = publish;
    throw new CatalogError('unavailable', 'away for a moment');
  };
  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  let isReleasing = false;
  catalog.releaseLease = async (...args) => {
    isReleasing = true;
    await held;
    await releaseLease(...args);
  };
  const writer = await house.uploads.open(id, 'anyone', { signal: NEVER });
  const appending = writer.append(Readable.from([bytes]), { maxBytes: bytes.length });
  await expect(appending).rejects.toMatchObject({ code: 'store_unavailable' });
  const releasing = writer.release();
  await expect.poll(() => isReleasing).toBe(true);
  expect(await catalog.findUpload(id)).toMatchObject({ state: 'receiving', offset: bytes.length });
  let told: unknown;
  const looking = house.uploads.view(id, 'anyone').then((upload) => (told = upload));
  // A look takes only some turns of the event loop.
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  expect(told).toBeUndefined();
  letGo();
  await releasing;
  expect(await looking).toMatchObject({ state: 'complete' });
});
