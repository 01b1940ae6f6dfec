/** Archives: several files as one ZIP file, which is made while it is read. See docs/decisions/0062-archives.md. */
import { createHash } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import type { ByteRange } from '../../stores/store.ts';
import type { FileBelow } from '../catalog/all-below.ts';
import type { FileRecord } from '../catalog/catalog.ts';
import { bytesOf, type Layout, layOut, type Span } from '../zip/layout.ts';
import { joinPath, lastPart } from '../wire/paths.ts';
import { entryNames } from '../zip/names.ts';
import { type ContentChecksums, createContentChecksums } from './content-checksums.ts';
import {
  type Archive,
  type Archives,
  type Files,
  MOST_ARCHIVED,
  MOST_FOLDERS_ARCHIVED,
  type OwnArchive,
  type PackedFile,
} from './contract.ts';
import { invalidField, TidemarkError } from './errors.ts';
import { checkName } from './names.ts';
import type { Parts } from './parts.ts';
import { translated } from './translate.ts';
import { contentViewOf } from './views.ts';

/** How many files are looked up at a time: their rows are kept no longer than needed. */
const ROWS_AT_A_TIME = 512;
/** Changes with the bytes that are made of the same files. */
const FORMAT = 'zip1';
/** Headers and small files are sent together, in pieces of this size. */
const GATHERED_BYTES = 64 * 1024;

/** Prepares what `Archives` promises. */
export function createArchives(parts: Parts, files: Pick<Files, 'open'>): Archives {
  const checksums = createContentChecksums(parts, files);

  /** An archive of these files, by these names. @param owner - null: files of any owner. */
  async function pack(packed: readonly PackedFile[], owner: string | null): Promise<Archive> {
    // With the most files, each of these steps takes some time, in which nothing else would run.
    await parts.surroundings.turn();
    const unique = entryNames(packed.map(({ name }) => name));
    await parts.surroundings.turn();
    const ids = packed.map(({ id }) => id);
    const layout = layOut(
      packed.map(({ size, uploadedAt }, index) => ({ name: unique[index] ?? '', size, modifiedAt: uploadedAt })),
    );
    const rows = createRows(parts, ids, owner);
    return {
      size: layout.size,
      version: versionOf(ids, layout),
      open: (range) => open({ parts, files, checksums, layout, rows }, range ?? { start: 0, end: layout.size - 1 }),
    };
  }

  async function prepareNamed(given: readonly string[], owner: string | null, asker: string): Promise<Archive> {
    const ids = [...new Set(given)];
    if (ids.length === 0) throw invalidField('id', 'id must name at least one file.');
    if (ids.length > MOST_ARCHIVED) throw invalidField('id', `id must name at most ${MOST_ARCHIVED} files.`);
    const nameOf = (file: FileRecord): string => (file.owner === asker ? file.name : lastPart(file.name));
    return pack(await look(parts, ids, owner, nameOf), owner);
  }

  async function prepareOwn({ ids, folders, within }: OwnArchive, owner: string): Promise<Archive> {
    checkFolders(folders);
    if (within !== undefined && within !== '') checkName(within, 'within');
    const itself = folders.length === 1 && ids.length === 0 ? folders[0] : undefined;
    const from = within ?? itself ?? '';
    const nameOf = ({ name }: { name: string }): string => pathFrom(from, name) ?? name;
    const packed = new Map<string, PackedFile>();
    for (const folder of outermost(folders)) {
      for (const { path, ...file } of await listBelow(parts, folder, owner))
        packed.set(file.id, { ...file, name: nameOf({ name: joinPath(folder, path) }) });
      if (packed.size > MOST_ARCHIVED) throw tooManyBelow();
    }
    const others = [...new Set(ids)].filter((id) => !packed.has(id));
    refuseTooMany(packed.size + others.length);
    return pack([...packed.values(), ...(await look(parts, others, owner, nameOf))], owner);
  }

  async function prepareShared(shared: readonly PackedFile[], owner: string): Promise<Archive> {
    refuseTooMany(shared.length);
    if (shared.length === 0) throw new TidemarkError('not_found');
    return pack(shared, owner);
  }

  return {
    prepare: (ids, owner, asker) => translated(() => prepareNamed(ids, owner, asker)),
    countBelow: (folders, owner) => translated(() => countBelow(parts, folders, owner)),
    prepareOwn: (asked, owner) => translated(() => prepareOwn(asked, owner)),
    prepareShared: (shared, owner) => translated(() => prepareShared(shared, owner)),
  };
}

/** Files by their ids. @throws `not_found`. */
async function look(
  parts: Pick<Parts, 'catalog' | 'surroundings'>,
  ids: readonly string[],
  owner: string | null,
  nameOf: (file: FileRecord) => string,
): Promise<PackedFile[]> {
  const rows = createRows(parts, ids, owner);
  const packed: PackedFile[] = [];
  for (const [index, id] of ids.entries()) {
    const file = await rows.at(index);
    packed.push({ id, name: nameOf(file), size: file.content.size, uploadedAt: file.uploadedAt });
  }
  return packed;
}

/** See `Archives.countBelow`. */
async function countBelow(
  { catalog }: Pick<Parts, 'catalog'>,
  folders: readonly string[],
  owner: string,
): Promise<number> {
  checkFolders(folders);
  const isCounted = new Set(outermost(folders));
  let count = 0;
  for (const folder of new Set(folders)) {
    const found = await catalog.findFolder(owner, folder);
    if (!found) throw noSuchFolder();
    if (isCounted.has(folder)) count += found.files;
  }
  return count;
}

/** @throws `invalid_field`. */
function checkFolders(folders: readonly string[]): void {
  if (folders.length > MOST_FOLDERS_ARCHIVED)
    throw invalidField('folder', `folder must name at most ${MOST_FOLDERS_ARCHIVED} folders.`);
  for (const folder of folders) checkName(folder, 'folder');
}

/** @throws `invalid_field`. */
function refuseTooMany(files: number): void {
  if (files > MOST_ARCHIVED) throw invalidField('id', `id and folder must name at most ${MOST_ARCHIVED} files.`);
}

function tooManyBelow(): TidemarkError {
  return invalidField('folder', `folder must have at most ${MOST_ARCHIVED} files below it.`);
}

/** The path of a file from a folder on; undefined where it is not below it. @param folder - empty: the top. */
function pathFrom(folder: string, name: string): string | undefined {
  if (folder === '') return name;
  return name.startsWith(`${folder}/`) ? name.slice(folder.length + 1) : undefined;
}

/** Each folder once, and none of which another one has all files. */
function outermost(folders: readonly string[]): string[] {
  const asked = new Set(folders);
  return [...asked].filter((folder) => !isBelowAny(folder, asked));
}

function isBelowAny(path: string, folders: ReadonlySet<string>): boolean {
  for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1))
    if (folders.has(path.slice(0, cut))) return true;
  return false;
}

function noSuchFolder(): TidemarkError {
  return new TidemarkError('not_found', { field: 'folder', message: 'There is no folder at that path.' });
}

/** All files below a folder, as they are at one moment. @throws `not_found`, `invalid_field`. */
async function listBelow({ catalog }: Pick<Parts, 'catalog'>, folder: string, owner: string): Promise<FileBelow[]> {
  const files = await catalog.listAllBelow({ owner, folder, most: MOST_ARCHIVED + 1 });
  if (!files) throw noSuchFolder();
  if (files.length > MOST_ARCHIVED) throw tooManyBelow();
  return files;
}

/** The bytes of the files of these ids never change: their ids, and what else is in headers, say which bytes it has. */
function versionOf(ids: readonly string[], { entries }: Layout): string {
  const hash = createHash('sha256');
  entries.forEach(({ name, size, modifiedAt }, index) => {
    hash.update(JSON.stringify([ids[index], name, size, modifiedAt]));
  });
  return `${FORMAT}-${hash.digest('base64url').slice(0, 22)}`;
}

/** The files' rows, looked up in order. */
interface Rows {
  /** @throws `not_found`, with the field `id`. */
  at(index: number): Promise<FileRecord>;
}

function createRows(
  { catalog, surroundings }: Pick<Parts, 'catalog' | 'surroundings'>,
  ids: readonly string[],
  owner: string | null,
): Rows {
  let first = -1;
  let found = new Map<string, FileRecord>();

  return {
    async at(index) {
      const batch = index - (index % ROWS_AT_A_TIME);
      if (batch !== first) {
        // A catalog in this process answers without a turn of the event loop.
        if (batch > 0) await surroundings.turn();
        const rows = await catalog.findFiles(ids.slice(batch, batch + ROWS_AT_A_TIME), owner);
        found = new Map(rows.map((row) => [row.id, row]));
        first = batch;
      }
      const id = ids[index] ?? '';
      const row = found.get(id);
      if (row) return row;
      // An id of somebody else's file gets the same answer as one of none.
      const shown = /^[0-9a-f-]{1,64}$/i.test(id) ? ` ${id}` : '';
      throw new TidemarkError('not_found', { field: 'id', message: `There is no file with the id${shown}.` });
    },
  };
}

interface Opened {
  parts: Parts;
  files: Pick<Files, 'open'>;
  checksums: ContentChecksums;
  layout: Layout;
  rows: Rows;
}

/** Opens the bytes of a range. */
function open(of: Opened, range: ByteRange): Readable {
  const { layout, rows, checksums } = of;
  const gone = new AbortController();
  /** Of the entries that are sent whole. */
  const crcs = new Map<number, number>();

  async function* bytes(index: number, span: Span): AsyncGenerator<Uint8Array> {
    const file = await rows.at(index);
    const { content } = file;
    if (content.size !== layout.entries[index]?.size) throw new TidemarkError('content_damaged');
    if (span.start === 0 && span.end === content.size - 1) {
      yield* checksums.verified(file, gone.signal);
      crcs.set(index, await checksums.of(file, gone.signal));
      return;
    }
    // The CRC that follows is of the whole entry. Meanwhile this part of it is sent.
    if (span.end === content.size - 1) checksums.of(file, gone.signal).catch(() => undefined);
    const { signal } = gone;
    const stream = addAbortSignal(signal, await of.files.open({ content: contentViewOf(content) }, span, signal));
    let left = span.end - span.start + 1;
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        left -= chunk.length;
        yield chunk;
      }
    } finally {
      stream.destroy();
    }
    if (left !== 0) throw new TidemarkError('content_damaged');
  }

  async function crc32(index: number): Promise<number> {
    if (layout.entries[index]?.size === 0) return 0;
    return crcs.get(index) ?? checksums.of(await rows.at(index), gone.signal);
  }

  /** Where entries come before the range and the central directory is in it, finds out their CRCs while the range is sent. */
  async function foresee(): Promise<void> {
    for (let index = 0; (layout.offsets[index + 1] ?? layout.central.offset) <= range.start; index++)
      await crc32(index);
  }

  if (range.start > 0 && range.end >= layout.central.offset) foresee().catch(() => undefined);
  const source = gathered(bytesOf(layout, range, { bytes, crc32 }));
  return Readable.from(
    {
      [Symbol.asyncIterator]: () => ({
        next: () => source.next(),
        // Called when the stream is destroyed: ends what the source waits for.
        return: () => {
          gone.abort(new Error('nobody reads the archive any more'));
          return source.return(undefined);
        },
      }),
    },
    { objectMode: false },
  );
}

/** Joins small chunks. */
async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of source) {
    if (heldBytes + chunk.length > GATHERED_BYTES && heldBytes > 0) {
      yield Buffer.concat(held);
      held = [];
      heldBytes = 0;
    }
    if (chunk.length >= GATHERED_BYTES) {
      yield chunk;
    } else {
      held.push(chunk);
      heldBytes += chunk.length;
    }
  }
  if (heldBytes > 0) yield Buffer.concat(held);
}
