/** The table of a list of files. */
import { expect, test } from 'vitest';
import { Listing, type ListOrder, type Placed } from '../../client/core/listing.ts';
import type { FileJson } from '../../server/wire/files.ts';

function makeFile(id: string, told: Partial<FileJson> = {}): FileJson {
  return { id, name: `${id}.txt`, size: 1, uploadedAt: '2026-01-01T00:00:00.000Z', ...told } as FileJson;
}

/** Lists b, d and f by name, as the service does. */
function makeListing(cursor: string | null = null, order: Partial<ListOrder> = {}): Listing {
  const listing = new Listing();
  listing.order = { sort: 'name', order: 'asc', search: '', ...order };
  const files = ['b', 'd', 'f'].map((id) => makeFile(id));
  listing.fill(null, listing.order.order === 'asc' ? files : files.toReversed(), cursor);
  return listing;
}

interface Told {
  told: string;
  cursor?: string;
  order?: Partial<ListOrder>;
  list: string;
  placed: Placed;
}

function ids(listing: Listing): string {
  return listing.files.map(({ id }) => id).join('');
}

test.each<Told>([
  { told: 'a', list: 'abdf', placed: { as: 'inserted', index: 0 } },
  { told: 'c', list: 'bcdf', placed: { as: 'inserted', index: 1 } },
  { told: 'g', list: 'bdfg', placed: { as: 'inserted', index: 3 } },
  { told: 'd', list: 'bdf', placed: { as: 'renewed' } },
  { told: 'g', cursor: 'more', list: 'bdf', placed: { as: 'nothing' } },
  { told: 'f', cursor: 'more', list: 'bdf', placed: { as: 'renewed' } },
  { told: 'e', cursor: 'more', list: 'bdef', placed: { as: 'inserted', index: 2 } },
  { told: 'c', order: { search: 'zip' }, list: 'bdf', placed: { as: 'nothing' } },
  { told: 'c', order: { search: 'C.T' }, list: 'bcdf', placed: { as: 'inserted', index: 1 } },
  { told: 'c', order: { order: 'desc' }, list: 'fdcb', placed: { as: 'inserted', index: 2 } },
])(
  'told of $told of a list that goes on at $cursor, ordered by $order: $list',
  ({ told, cursor, order, list, placed }) => {
    const listing = makeListing(cursor, order);
    const file = makeFile(told, { type: 'told/now' });
    expect(listing.place(file)).toEqual(placed);
    expect(ids(listing)).toBe(list);
    expect(listing.files.includes(file)).toBe(placed.as !== 'nothing');
  },
);

test('before the first page nothing is listed', () => {
  const listing = new Listing();
  expect(listing.place(makeFile('a'))).toEqual({ as: 'nothing' });
  listing.fill(null, [], null);
  expect(listing.place(makeFile('a'))).toEqual({ as: 'inserted', index: 0 });
});

test.each([
  { sort: 'size', told: { size: 2 } },
  { sort: 'uploaded', told: { uploadedAt: '2026-01-02T00:00:00Z' } },
  { sort: 'name', told: { name: 'CC' } },
] as const)('by $sort a file stands where the service would list it', ({ sort, told }) => {
  const listing = new Listing();
  listing.order = { sort, order: 'asc', search: '' };
  const around = [
    makeFile('before', { size: 1, name: 'b', uploadedAt: '2026-01-01T00:00:00.000Z' }),
    makeFile('after', { size: 3, name: 'd', uploadedAt: '2026-01-02T00:00:00.001Z' }),
  ];
  listing.fill(null, around, null);
  expect(listing.place(makeFile('told', told))).toEqual({ as: 'inserted', index: 1 });
});

test('what is taken off stays off, whatever is told of it or loaded, until it is given back', () => {
  const listing = makeListing('more');
  const taken = listing.take('d');
  expect(taken?.id).toBe('d');
  expect(listing.place(makeFile('d'))).toEqual({ as: 'nothing' });
  listing.fill(
    null,
    ['b', 'd', 'f'].map((id) => makeFile(id)),
    'more',
  );
  listing.fill(
    'more',
    ['d', 'h'].map((id) => makeFile(id)),
    null,
  );
  expect(ids(listing)).toBe('bfh');
  expect(listing.giveBack('d', taken)).toEqual({ as: 'inserted', index: 1 });
  expect(ids(listing)).toBe('bdfh');
});

test('what was not listed, or was listed again in the meantime, is not put back', () => {
  const listing = makeListing();
  expect(listing.take('c')).toBeUndefined();
  expect(listing.giveBack('c', undefined)).toEqual({ as: 'nothing' });
  const taken = listing.take('b');
  listing.giveBack('b', undefined);
  listing.place(makeFile('b'));
  expect(listing.giveBack('b', taken)).toEqual({ as: 'nothing' });
  expect(ids(listing)).toBe('bdf');
});

test('a page that overlaps with what is listed adds only what is new, and the last one ends the list', () => {
  const listing = makeListing('more');
  listing.fill(
    'more',
    ['f', 'g'].map((id) => makeFile(id)),
    null,
  );
  expect(ids(listing)).toBe('bdfg');
  expect(listing.cursor).toBeNull();
});

test('what the service has deleted comes back where it tells of it again, or lists it anew', () => {
  const listing = makeListing();
  listing.take('d');
  listing.gone('d');
  expect(listing.place(makeFile('d'))).toEqual({ as: 'inserted', index: 1 });
  listing.take('d');
  expect(listing.place(makeFile('d'))).toEqual({ as: 'nothing' });
  listing.take('b');
  listing.gone('b');
  listing.beginAnew();
  const all = ['b', 'd', 'f'].map((id) => makeFile(id));
  listing.fill(null, all, null);
  // The other one is off the list still: the service has not deleted it.
  expect(ids(listing)).toBe('bf');
});
