/** The table of a list of files. */
import { describe, expect, test } from 'vitest';
import { Listing, type ListOrder, type Placed } from '../../client/core/listing.ts';
import type { FileJson } from '../../server/wire/files.ts';

function makeFile(id: string, told: Partial<FileJson> = {}): FileJson {
  return { id, name: `${id}.txt`, size: 1, uploadedAt: '2026-01-01T00:00:00.000Z', ...told } as FileJson;
}

/** Lists b, d and f by name, as the service does. */
function makeListing(cursor: string | null = null, order: Partial<ListOrder> = {}): Listing {
  const listing = new Listing();
  listing.order = { sort: 'name', order: 'asc', search: '', folder: '', ...order };
  const files = ['b', 'd', 'f'].map((id) => makeFile(id));
  listing.fill(null, { files: listing.order.order === 'asc' ? files : files.toReversed() }, cursor);
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
  listing.fill(null, { files: [] }, null);
  expect(listing.place(makeFile('a'))).toEqual({ as: 'inserted', index: 0 });
});

test.each([
  { sort: 'size', told: { size: 2 } },
  { sort: 'uploaded', told: { uploadedAt: '2026-01-02T00:00:00Z' } },
  { sort: 'name', told: { name: 'CC' } },
] as const)('by $sort a file stands where the service would list it', ({ sort, told }) => {
  const listing = new Listing();
  listing.order = { sort, order: 'asc', search: '', folder: '' };
  const around = [
    makeFile('before', { size: 1, name: 'b', uploadedAt: '2026-01-01T00:00:00.000Z' }),
    makeFile('after', { size: 3, name: 'd', uploadedAt: '2026-01-02T00:00:00.001Z' }),
  ];
  listing.fill(null, { files: around }, null);
  expect(listing.place(makeFile('told', told))).toEqual({ as: 'inserted', index: 1 });
});

test('what is taken off stays off, whatever is told of it or loaded, until it is given back', () => {
  const listing = makeListing('more');
  const taken = listing.take('d');
  expect(taken?.id).toBe('d');
  expect(listing.place(makeFile('d'))).toEqual({ as: 'nothing' });
  listing.fill(null, { files: ['b', 'd', 'f'].map((id) => makeFile(id)) }, 'more');
  listing.fill('more', { files: ['d', 'h'].map((id) => makeFile(id)) }, null);
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
  listing.fill('more', { files: ['f', 'g'].map((id) => makeFile(id)) }, null);
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
  listing.fill(null, { files: all }, null);
  // The other one is off the list still: the service has not deleted it.
  expect(ids(listing)).toBe('bf');
});

describe('a level', () => {
  const folders = ['a', 'c'].map((name) => ({ name: `x/${name}`, files: 1, bytes: 1 }));
  const keys = (listing: Listing): string[] => listing.entries.map(({ key }) => key);

  function makeLevel(cursor: string | null = null, order: Partial<ListOrder> = {}): Listing {
    const listing = new Listing();
    listing.order = { sort: 'name', order: 'asc', search: '', folder: 'x', ...order };
    listing.fill(null, { folders, files: [makeFile('b', { name: 'x/b.txt' })] }, cursor);
    return listing;
  }

  test('has its folders before the files, also where it is changed after it was read', () => {
    const listing = makeLevel();
    expect(keys(listing)).toEqual(['folder:x/a', 'folder:x/c', 'b']);
    expect(listing.place(makeFile('0', { name: 'x/0.txt' }))).toEqual({ as: 'inserted', index: 2 });
    expect(listing.place(makeFile('d', { name: 'x/d.txt' }))).toEqual({ as: 'inserted', index: 4 });
    expect(listing.place(makeFile('b', { name: 'x/b2.txt' }))).toEqual({ as: 'renewed' });
    expect(keys(listing)).toEqual(['folder:x/a', 'folder:x/c', '0', 'b', 'd']);
    expect(listing.entries[3]).toMatchObject({ file: { name: 'x/b2.txt' } });
    listing.take('0');
    expect(keys(listing)).toEqual(['folder:x/a', 'folder:x/c', 'b', 'd']);
  });

  test.each(['b.txt', 'x/a/b.txt', 'xx/b.txt', 'y/b.txt'])(
    'a file that moves to %s leaves it, and may come back',
    (name) => {
      const listing = makeLevel();
      expect(listing.place(makeFile('b', { name }))).toEqual({ as: 'removed' });
      expect(listing.place(makeFile('b', { name }))).toEqual({ as: 'nothing' });
      expect(keys(listing)).toEqual(['folder:x/a', 'folder:x/c']);
      expect(listing.place(makeFile('b', { name: 'x/b.txt' }))).toEqual({ as: 'inserted', index: 2 });
    },
  );

  test('during a search a file is listed wherever it is', () => {
    const listing = makeLevel(null, { search: 'b' });
    expect(listing.place(makeFile('b', { name: 'y/z/b.txt' }))).toEqual({ as: 'renewed' });
    expect(listing.place(makeFile('bb', { name: 'bb.txt' }))).toMatchObject({ as: 'inserted' });
  });

  test('a folder that is taken off is off with all below it, until it is given back; then it is where it was', () => {
    const listing = makeLevel();
    listing.takeFolder('x/a');
    expect(keys(listing)).toEqual(['folder:x/c', 'b']);
    expect(listing.setFolders(folders)).toBe(false);
    expect(keys(listing)).toEqual(['folder:x/c', 'b']);
    expect(listing.giveFolderBack('x/a', folders[0])).toEqual({ as: 'inserted', index: 0 });
    expect(keys(listing)).toEqual(['folder:x/a', 'folder:x/c', 'b']);
    // In the list of the folder itself.
    listing.takeFolder('x');
    expect(keys(listing)).toEqual([]);
    listing.fill(null, { folders, files: [makeFile('b', { name: 'x/b.txt' })] }, null);
    expect(keys(listing)).toEqual([]);
    expect(listing.place(makeFile('new', { name: 'x/new.txt' }))).toEqual({ as: 'nothing' });
  });

  test.each([
    ['name', 'desc', 'folder:x/c'],
    ['name', 'asc', 'folder:x/a'],
    ['size', 'desc', 'folder:x/a'],
  ] as const)('by %s %s a folder comes back to its place', (sort, order, first) => {
    const listing = makeLevel(null, { sort, order });
    listing.setFolders(sort === 'name' && order === 'desc' ? folders.toReversed() : folders);
    const [one] = listing.folders;
    expect(`folder:${one?.name}`).toBe(first);
    listing.takeFolder(one?.name ?? '');
    listing.giveFolderBack(one?.name ?? '', one);
    expect(keys(listing)[0]).toBe(first);
  });

  test('a folder that moves has its new name, or leaves; it says whether another has other totals', () => {
    const listing = makeLevel();
    listing.moveFolder('x/a', 'x/d');
    expect(keys(listing)).toEqual(['folder:x/d', 'folder:x/c', 'b']);
    listing.moveFolder('x/d', 'y/d');
    expect(keys(listing)).toEqual(['folder:x/c', 'b']);
    expect(listing.setFolders([{ name: 'x/c', files: 1, bytes: 1 }])).toBe(false);
    expect(listing.setFolders([{ name: 'x/c', files: 2, bytes: 1 }])).toBe(true);
    expect(listing.setFolders([])).toBe(true);
    expect(keys(listing)).toEqual(['b']);
  });

  test('it knows all its folders once a page has files, or is the last', () => {
    const listing = new Listing();
    listing.order.folder = 'x';
    listing.fill(null, { folders, files: [] }, 'more');
    expect(listing.hasAllFolders).toBe(false);
    listing.fill('more', { folders: [{ name: 'x/e', files: 1, bytes: 1 }], files: [] }, 'last');
    expect(listing.hasAllFolders).toBe(false);
    listing.fill('last', { folders: [], files: [makeFile('b', { name: 'x/b.txt' })] }, null);
    expect([listing.hasAllFolders, keys(listing)]).toEqual([true, ['folder:x/a', 'folder:x/c', 'folder:x/e', 'b']]);
  });
});
