/** What archives hold of the store, and what they tell of other owners. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type House, openHouse } from './support.ts';

const BYTES = makeBytes(1000, 81);
const NEVER = new AbortController().signal;

/** A file of two owners with the same content. @returns their ids. */
async function putTwice(house: House): Promise<{ mine: string; theirs: string }> {
  const writer = await house.uploads.open(await house.begin(BYTES), 'anyone', { signal: NEVER });
  await writer.append(Readable.from([BYTES]), { maxBytes: BYTES.length });
  await writer.release();
  const [content] = await house.parts.catalog.findContents({ md5: md5(BYTES) });
  const { files } = await house.files.list({ owner: 'anyone', limit: 1, sort: 'name', descending: false });
  const theirs = { id: randomUUID(), owner: 'bert', name: 'theirs', type: null };
  await house.parts.catalog.addFile(content?.id ?? 0, theirs);
  return { mine: files[0]?.id ?? '', theirs: theirs.id };
}

test('the CRC of a content is remembered for one owner: how soon others get theirs tells nothing of it', async () => {
  const house = await openHouse({});
  const { store } = house.parts;
  const { mine, theirs } = await putTwice(house);
  let readings = 0;
  const { readContent } = store;
  store.readContent = (...args) => {
    readings++;
    return readContent.apply(store, args);
  };
  const end = async (id: string, owner: string): Promise<number> => {
    const archive = await house.archives.prepare([id], owner, 'anyone');
    const before = readings;
    await buffer(archive.open({ start: archive.size - 50, end: archive.size - 1 }));
    return readings - before;
  };
  const whole = await house.archives.prepare([mine], 'anyone', 'anyone');
  await buffer(whole.open(undefined));
  expect(await end(mine, 'anyone')).toBe(0);
  expect(await end(theirs, 'bert')).toBe(1);
  expect(await end(theirs, 'bert')).toBe(0);
});

test.each([
  ['all of it', 0],
  ['the end of it', 100],
])('a reader that leaves while the store sends nothing releases what was opened there: %s', async (_, start) => {
  const house = await openHouse({});
  const { mine } = await putTwice(house);
  const silent = new Readable({ read: () => undefined });
  house.parts.store.readContent = async () => silent;
  const archive = await house.archives.prepare([mine], 'anyone', 'anyone');
  const stream = archive.open({ start, end: archive.size - 100 });
  stream.on('error', () => undefined).resume();
  // It waits for the store.
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  expect(silent.listenerCount('readable')).toBeGreaterThan(0);
  const closed = new Promise((resolve) => silent.once('close', resolve));
  stream.destroy();
  await closed;
});
