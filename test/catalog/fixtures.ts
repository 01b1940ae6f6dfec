/** What the catalog's tests put into it. */
import { createHash, randomUUID } from 'node:crypto';
import type {
  Catalog,
  Digests,
  EventRecord,
  FileEventRecord,
  FileRecord,
  NewFile,
  NewUpload,
  NodeAbout,
  OffsetCommit,
  Publication,
} from '../../server/catalog/catalog.ts';
import type { ClockSource } from '../../server/catalog/sqlite/clock.ts';

/** Any instant. */
export const T0 = 1_700_000_000_000;

/** The time of a catalog that goes by a test's clock alone. */
export function timeBy(nowMs: () => number): ClockSource {
  return { wallMs: nowMs, elapsedMs: nowMs, uptimeMs: nowMs, bootId: null };
}

export function md5Of(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

export function newUpload(fields: Partial<NewUpload> = {}): NewUpload {
  return {
    id: randomUUID(),
    owner: 'ann',
    size: 100,
    md5: null,
    sha1: null,
    sha256: null,
    filename: 'a.txt',
    filetype: 'text/plain',
    metadata: 'filename YS50eHQ=',
    lifeMs: 1000,
    holder: 'a node',
    phase: null,
    ...fields,
  };
}

/** Records a new upload; its id. */
export async function addUpload(catalog: Catalog, fields: Partial<NewUpload> = {}): Promise<string> {
  const upload = newUpload(fields);
  await catalog.createUpload(upload);
  return upload.id;
}

/** The next lease on an upload, for a node of its own; its epoch. */
export async function nextLease(catalog: Catalog, id: string, node = 'a node'): Promise<number | undefined> {
  const seen = await catalog.findUpload(id);
  return seen && catalog.takeLease(seen, node);
}

export function commitTo(id: string, offset: number, fields: Partial<OffsetCommit> = {}): OffsetCommit {
  return {
    id,
    epoch: 1,
    offset,
    snapshot: Buffer.from(`state at ${offset}`),
    idleMs: 0,
    lifeMs: 1000,
    ...fields,
  };
}

export function newFile(fields: Partial<NewFile> = {}): NewFile {
  return { id: randomUUID(), owner: 'ann', name: 'a.txt', type: 'text/plain', ...fields };
}

/** A content that is nowhere yet, told apart by `text`. */
export function newContent(
  text: string,
  fields: Partial<Digests & { size: number; variant: number; key: string; proof: string }> = {},
): Digests & { size: number; variant: number; key: string; proof?: string } {
  const md5 = md5Of(text);
  return { md5, sha1: null, sha256: null, size: 100, variant: 0, key: `${md5}.txt`, ...fields };
}

/** Publishes through a new upload; the file. */
export async function addPublished(
  catalog: Catalog,
  content: Publication['content'],
  file: Partial<NewFile> = {},
): Promise<FileRecord> {
  const entry = newFile(file);
  const uploadId = await addUpload(catalog, { owner: entry.owner, size: null });
  const outcome = await catalog.publish({ uploadId, epoch: 1, content, file: entry });
  if (outcome.kind !== 'published') throw new Error(`not published: ${outcome.kind}`);
  return outcome.file;
}

/** Gives an owner a file of a content that is there. */
export async function giveFile(
  catalog: Pick<Catalog, 'addFile'>,
  contentId: number,
  file: Partial<NewFile> = {},
): Promise<FileRecord | undefined> {
  return (await catalog.addFile(contentId, newFile(file)))?.file;
}

/** Those of the events that are about files. */
export function fileEvents(events: readonly EventRecord[]): FileEventRecord[] {
  return events.filter((event) => event.kind !== 'moved');
}

/** The keys of the first removals. */
export async function removalKeys(catalog: Catalog, limit: number): Promise<string[]> {
  return (await catalog.listRemovals(0, limit)).map(({ key }) => key);
}

/** What a node tells of itself. */
export function aboutNode(fields: Partial<NodeAbout> = {}): NodeAbout {
  return { name: 'a machine', version: '1.2.3', process: null, isAlone: false, ...fields };
}
