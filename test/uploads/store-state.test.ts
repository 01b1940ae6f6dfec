/** What a store keeps of an upload in its row: where it names no bytes, nothing waits for it and nothing has to forget it. */
import { PassThrough, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { createMemoryDisk } from '../../stores/memory/disk.ts';
import { openMemoryStore } from '../../stores/memory/store.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { makeBytes } from '../harness/bytes.ts';
import { type House, openHouse } from './support.ts';

const NEVER = new AbortController().signal;
const bytes = makeBytes(20_000, 1);

/** Appends these bytes; the row's state of the store by then, and how often it was made durable before they were written. */
async function append({ uploads, parts }: House, id: string, source: Readable) {
  const writer = await uploads.open(id, 'anyone', { signal: NEVER });
  const { durable } = parts.catalog;
  let waited = 0;
  let isReading = false;
  parts.catalog.durable = () => {
    if (!isReading) waited++;
    return durable();
  };
  try {
    await writer.append(source, { maxBytes: bytes.length, onReading: () => (isReading = true) });
  } finally {
    parts.catalog.durable = durable;
    await writer.release();
  }
  return { state: (await parts.catalog.findUpload(id))?.storeState, waited };
}

function half(): Readable {
  return new PassThrough().end(bytes.subarray(0, 10_000));
}

function rest(): Readable {
  return Readable.from([bytes.subarray(10_000)]);
}

function countForgetting({ parts: { catalog } }: House): () => number {
  const { forgetStoreState } = catalog;
  let count = 0;
  catalog.forgetStoreState = (id) => {
    count++;
    return forgetStoreState(id);
  };
  return () => count;
}

test('a folder keeps the boot of the machine until the publication, which costs nothing more', async () => {
  const house = await openHouse({});
  const forgotten = countForgetting(house);
  const id = await house.begin(bytes);
  expect(await append(house, id, half())).toEqual({ state: SYSTEM.bootId, waited: 0 });
  expect(await append(house, id, rest())).toEqual({ state: null, waited: 0 });
  expect(forgotten()).toBe(0);
});

test('where it names bytes, it is durable before the next write, and stays until they are discarded', async () => {
  const house = await openHouse({}, {}, { store: openMemoryStore({ disk: createMemoryDisk() }) });
  const forgotten = countForgetting(house);
  const id = await house.begin(bytes);
  const first = await append(house, id, half());
  expect(first).toEqual({ state: expect.any(String), waited: 0 });
  expect(await append(house, id, rest())).toEqual({ state: null, waited: 1 });
  expect(forgotten()).toBe(1);
});
