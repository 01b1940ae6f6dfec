/** The promises, looked at after every step: rows against the disk, and both against what clients have heard. */
import type { MemoryDisk } from '../../stores/memory/disk.ts';
import { finalName, numberOfPiece, piecesOf } from '../../stores/memory/names.ts';
import { bootOf, lastPieceOf } from '../../stores/memory/pieces.ts';
import { md5 as md5Of } from '../harness/bytes.ts';
import type { SimCatalog } from './catalog.ts';
import type { FileModel, Model, UploadModel } from './model.ts';

export interface Checks {
  /** After a step: nothing that was promised is broken. */
  look(): void;
  /** After a power cut: what was not told may be gone. */
  lookAfterPowerCut(): void;
  /** An answer tells an offset of an upload. @param least - what had been told before it was asked. */
  told(id: string, offset: number, least: number): void;
  /** A request has brought bytes from an offset on, and its answer says up to where they are stored. */
  stored(id: string, from: number, to: number, bytes: Buffer): void;
  /** A lease on an upload was taken. */
  noteLease(id: string, epoch: number): void;
  /**
   * A writer begins to append: what is stored already is not to be sent again.
   *
   * @param atomicTo - where a request with a checksum ends.
   */
  opened(id: string, epoch: number, offset: number, atomicTo?: number): void;
  /** An answer names a file. */
  toldFile(id: string): void;
  toldGone(id: string): void;
  /** In the end: nothing is left over, and equal bytes are there once. */
  lookAtEnd(): void;
}

interface UploadRow {
  id: string;
  state: string;
  offset: number;
  size: number | null;
  epoch: number;
  storeState: string | null;
  filename: string;
  md5: string | null;
  fileId: string | null;
  reason: string | null;
}

interface FileRow {
  id: string;
  owner: string;
  contentId: number;
  md5: string;
  size: number;
  key: string;
}

const UPLOADS = `SELECT id, state, "offset", size, epoch, store_state AS storeState, filename, md5, file_id AS fileId, reason
  FROM uploads ORDER BY id`;
const FILES = `SELECT files.id, owner, content_id AS contentId, md5, contents.size, key
  FROM files JOIN contents ON contents.id = content_id ORDER BY files.id`;
const EVENTS = `SELECT kind, file_id AS id FROM events`;
const CONTENTS = `SELECT id AS contentId, md5, size, key FROM contents ORDER BY id`;

/** Reasons for which the service itself ends an upload. A removed file has a check of its own. */
const ENDED_BY_ITSELF = new Set(['form_failed', 'no_room', 'file_deleted']);

export interface ChecksOptions {
  catalog: SimCatalog;
  disk: MemoryDisk;
  model: Model;
  nowMs: () => number;
  uploadTtlMs: number;
  /** A promise is broken. */
  fail: (problem: string) => void;
}

export function createChecks({ catalog, disk, model, nowMs, uploadTtlMs, fail }: ChecksOptions): Checks {
  /** How often each table, and the disk, had changed at the last look. */
  let lastLook: Readonly<Record<string, number>> = { disk: -1 };
  let contents = new Map<number, Buffer>();
  /** Ids of the files that were there at the last look. */
  let seenPresent = new Set<string>();

  function look(isAfterCut = false): void {
    if (catalog.changes['all'] === lastLook['all'] && disk.changes === lastLook['disk']) return;
    const now: typeof lastLook = { ...catalog.changes, disk: disk.changes };
    const hasChanged = (...what: string[]): boolean => isAfterCut || what.some((each) => now[each] !== lastLook[each]);
    const [hasContents, hasFiles, hasUploads] = [
      hasChanged('contents', 'disk'),
      hasChanged('contents', 'files', 'events'),
      hasChanged('uploads'),
    ];
    lastLook = now;
    if (hasContents) contents = lookAtContents();
    if (hasFiles) lookAtFiles(isAfterCut);
    if (hasUploads) for (const row of catalog.rows<UploadRow>(UPLOADS)) lookAtUpload(row, isAfterCut);
  }

  /** Promises 2 and 3: what is in the catalog is on the disk for good, and is what its digest says. */
  function lookAtContents(): Map<number, Buffer> {
    const bytesOf = new Map<number, Buffer>();
    for (const { contentId, md5, size, key } of catalog.rows<Omit<FileRow, 'id' | 'owner'>>(CONTENTS)) {
      const found = disk.look(finalName(key));
      const bytes = found && Buffer.concat(found.entry.chunks);
      if (!bytes) fail(`content ${contentId} (${md5}) has no bytes under ${key}`);
      else if (!found.isDurable) fail(`content ${contentId} is visible, and a power cut would take its bytes`);
      else if (bytes.length !== size || md5Of(bytes) !== md5) fail(`content ${contentId} has other bytes than ${md5}`);
      bytesOf.set(contentId, bytes ?? Buffer.alloc(0));
    }
    return bytesOf;
  }

  /** A file goes only by its owner's hand, and never changes. */
  function lookAtFiles(isAfterCut: boolean): void {
    const rows = catalog.rows<FileRow>(FILES);
    for (const { id, owner, contentId } of rows) {
      const bytes = contents.get(contentId) ?? Buffer.alloc(0);
      const known = model.files.get(id);
      model.seenFiles.add(id);
      if (!known) model.files.set(id, { id, owner, bytes, mayGo: false, isTold: false });
      else if (!known.bytes.equals(bytes)) fail(`file ${id} has other bytes than it had`);
      if (model.gone.has(id)) fail(`file ${id} is there again after its removal`);
    }
    const present = new Set(rows.map(({ id }) => id));
    for (const file of model.files.values()) if (!present.has(file.id)) lookAtMissing(file, isAfterCut);
    lookAtEvents(present, isAfterCut);
  }

  /** Promise 11: every event has happened, and everything that happened has its event. */
  function lookAtEvents(present: Set<string>, isAfterCut: boolean): void {
    const events = new Set<string>();
    for (const { kind, id } of catalog.rows<{ kind: string; id: string }>(EVENTS)) {
      events.add(`${kind} ${id}`);
      if (!model.seenFiles.has(id)) fail(`file ${id} is told of as ${kind}, and was never there`);
      if (kind === 'deleted' && present.has(id)) fail(`file ${id} is told of as deleted, and is there`);
    }
    // Events are forgotten after a day: only what changed with this step is sure to have one.
    const changed = isAfterCut ? [] : [...new Set([...present, ...seenPresent])];
    for (const id of changed) {
      if (present.has(id) === seenPresent.has(id)) continue;
      const kind = present.has(id) ? 'published' : 'deleted';
      if (!events.has(`${kind} ${id}`)) fail(`file ${id} is ${kind}, and no event tells of it`);
    }
    seenPresent = present;
  }

  function lookAtMissing(file: FileModel, isAfterCut: boolean): void {
    // A power cut may take back what no client was told of.
    if (!file.mayGo && (file.isTold || !isAfterCut)) fail(`file ${file.id} is gone, and nobody asked for that`);
    model.files.delete(file.id);
  }

  function lookAtUpload(row: UploadRow, isAfterCut: boolean): void {
    const known = model.uploads.get(row.id) ?? newUpload(row);
    const seen = [row.state, row.offset, row.storeState, row.epoch, row.fileId].join(' ');
    if (known.seen === seen) return;
    known.seen = seen;
    if (row.epoch < known.epoch && !isAfterCut) fail(`upload ${row.id}: its epoch went back`);
    known.epoch = row.epoch;
    if (row.state === 'receiving') lookAtReceiving(row, known, isAfterCut);
    else if (row.state === 'complete') lookAtComplete(row, known);
    else lookAtEnded(row, known);
    known.state = row.state;
    known.fileId = row.fileId;
  }

  function newUpload({ id, filename }: UploadRow): UploadModel {
    const upload: UploadModel = {
      id,
      plan: model.plans.get(filename),
      committed: Buffer.alloc(0),
      told: -1,
      isEndTold: false,
      state: 'receiving',
      epoch: 0,
      seen: '',
      fileId: null,
      mayEnd: false,
      movedAtMs: nowMs(),
      activity: 0,
      activityWhenTold: 0,
      atomic: undefined,
      hasStale: false,
      storedAtLease: new Map(),
    };
    model.uploads.set(id, upload);
    return upload;
  }

  /** Promise 1: what is counted is on the disk for good, in order and without a hole; it never changes. */
  function lookAtReceiving(row: UploadRow, known: UploadModel, isAfterCut: boolean): void {
    if (known.state !== 'receiving' && (known.isEndTold || !isAfterCut))
      fail(`upload ${row.id} is receiving again after ${known.state}`);
    const bytes = readPieces(disk, row);
    if (typeof bytes === 'string') return fail(`upload ${row.id}: ${bytes}`);
    // Nobody was told of what is gone by a power cut.
    const before = isAfterCut ? known.committed.subarray(0, Math.max(0, known.told)) : known.committed;
    if (bytes.length < before.length)
      fail(`upload ${row.id}: its offset went back from ${before.length} to ${bytes.length}`);
    else if (!bytes.subarray(0, before.length).equals(before))
      fail(`upload ${row.id}: bytes that were counted have changed`);
    // Promise 9. Pieces of a writer without the lease may count after it.
    const { atomic, hasStale } = known;
    if (atomic && !hasStale && bytes.length > atomic.from && bytes.length < atomic.to)
      fail(`upload ${row.id}: ${bytes.length} bytes count, in the middle of a request with a checksum to ${atomic.to}`);
    if (known.plan && !known.plan.isMixed && !known.plan.bytes.subarray(0, bytes.length).equals(bytes))
      fail(`upload ${row.id}: other bytes count than those that were sent`);
    if (bytes.length > known.committed.length) known.movedAtMs = nowMs();
    known.committed = bytes;
  }

  function lookAtComplete(row: UploadRow, known: UploadModel): void {
    const file = model.files.get(row.fileId ?? '');
    if (!file) return fail(`upload ${row.id} is complete without a file`);
    const { bytes } = file;
    if (!bytes.subarray(0, known.committed.length).equals(known.committed)) {
      fail(`upload ${row.id}: what was published is not what was counted`);
    }
    if (row.md5 !== null && row.md5 !== md5Of(bytes)) fail(`upload ${row.id} is published against its declared MD5`);
    if (known.plan && !known.plan.isMixed && !known.plan.bytes.equals(bytes)) {
      fail(`upload ${row.id}: what was published is not what was sent`);
    }
    if (known.mayEnd) file.mayGo = true;
    known.committed = bytes;
  }

  function lookAtEnded({ id, state, reason }: UploadRow, known: UploadModel): void {
    if (known.state === state) return;
    if (state === 'rejected' && !known.plan?.mayBeRejected) fail(`upload ${id} is rejected, and its bytes were right`);
    if (state === 'terminated' && !known.mayEnd && !ENDED_BY_ITSELF.has(reason ?? '')) {
      fail(`upload ${id} is terminated (${reason}), and nobody asked for that`);
    }
    if (state === 'expired' && reason !== null) fail(`upload ${id} is expired: ${reason}`);
    if (state === 'expired' && nowMs() - known.movedAtMs < uploadTtlMs) {
      fail(`upload ${id} expired after ${nowMs() - known.movedAtMs} ms`);
    }
  }

  function told(id: string, offset: number, least: number): void {
    look();
    const upload = model.uploads.get(id);
    if (!upload) return fail(`an answer tells of upload ${id}, which is not in the catalog`);
    if (offset < least) fail(`upload ${id}: ${offset} is told, after ${least} was`);
    const isEnded = upload.state !== 'receiving' && upload.state !== 'complete';
    if (offset > upload.committed.length && !isEnded) {
      fail(`upload ${id}: ${offset} is told, and ${upload.committed.length} bytes are stored`);
    }
    upload.told = Math.max(upload.told, offset);
    upload.activityWhenTold = upload.activity;
  }

  function lookAtLeftovers(): void {
    const keys = new Set(catalog.rows<FileRow>(CONTENTS).map(({ key }) => finalName(key)));
    for (const name of disk.names()) {
      // Of nothing, nothing is noted; what is left of it takes no room.
      if (disk.look(name)?.entry.size === 0) continue;
      if (!keys.has(name) && !model.strays.has(name)) fail(`${name} is on the disk, and no row explains it`);
    }
    const removals = catalog.rows<{ key: string }>('SELECT key FROM removals');
    if (removals.length > 0) fail(`still to be removed: ${removals.map(({ key }) => key).join(' ')}`);
  }

  return {
    look: () => look(),
    lookAfterPowerCut: () => {
      look(true);
      const rows = new Set(catalog.rows<UploadRow>(UPLOADS).map(({ id }) => id));
      for (const { id, told: offset, state, mayEnd } of model.uploads.values()) {
        if (rows.has(id)) continue;
        if (offset >= 0 && state === 'receiving' && !mayEnd) fail(`upload ${id} is gone, and was told of`);
        model.uploads.delete(id);
      }
    },
    told,
    stored: (id, from, to, bytes) => {
      look();
      const upload = model.uploads.get(id);
      if (!upload || (upload.state !== 'receiving' && upload.state !== 'complete')) return;
      if (!upload.committed.subarray(from, to).equals(bytes.subarray(0, to - from))) {
        fail(`upload ${id}: ${to} is told to the sender, and from ${from} on other bytes are stored`);
      }
    },
    noteLease: (id, epoch) => {
      look();
      const row = catalog.rows<UploadRow>(UPLOADS).find((each) => each.id === id);
      const upload = model.uploads.get(id);
      if (!row || !upload) return;
      upload.storedAtLease.set(epoch, endOfStored(disk, row));
      // Pieces that recovery does not trust now stay, and count as any writer's.
      if (bootOf(row) !== disk.bootId) upload.hasStale ||= disk.names().some((name) => name.startsWith(piecesOf(id)));
    },
    opened: (id, epoch, offset, atomicTo) => {
      look();
      const upload = model.uploads.get(id);
      const { storedAtLease, hasStale } = upload ?? {};
      if (upload) upload.atomic = atomicTo === undefined ? undefined : { from: offset, to: atomicTo };
      const stored = storedAtLease?.get(epoch) ?? 0;
      // Which of several writers' pieces count is open.
      if (offset < stored && !hasStale) fail(`upload ${id} continues at ${offset}, though ${stored} bytes are stored`);
    },
    toldFile: (id) => {
      look();
      const file = model.files.get(id);
      if (file) file.isTold = true;
      else if (!model.seenFiles.has(id)) fail(`file ${id} is told, and is not in the catalog`);
    },
    toldGone: (id) => {
      look();
      model.gone.add(id);
      if (model.files.has(id)) fail(`file ${id} is still there after its removal`);
    },
    lookAtEnd: () => {
      look();
      const seen = new Map<string, number>();
      for (const [contentId, bytes] of lookAtContents()) {
        const other = seen.get(bytes.toString('latin1'));
        if (other !== undefined) fail(`contents ${other} and ${contentId} have the same bytes`);
        seen.set(bytes.toString('latin1'), contentId);
      }
      lookAtLeftovers();
    },
  };
}

/** The bytes that a row counts; or what is wrong with them. */
function readPieces(
  disk: MemoryDisk,
  { offset, storeState }: Pick<UploadRow, 'offset' | 'storeState'>,
): Buffer | string {
  const chunks: Uint8Array[] = [];
  let end = offset;
  for (let name = lastPieceOf({ storeState }); name !== null;) {
    const found = disk.look(name);
    if (!found) return `${name} is counted, and is not on the disk`;
    if (!found.isDurable) return `${name} is counted, and a power cut would take it`;
    const { entry } = found;
    if (entry.start + entry.size !== end) return `a hole before ${end}`;
    chunks.unshift(...entry.chunks);
    end = entry.start;
    name = entry.after;
  }
  return end === 0 ? Buffer.concat(chunks) : `the first ${end} of ${offset} bytes are not on the disk`;
}

/** Up to where bytes are stored, counted or not, as recovery looks at it (stores/memory/pieces.ts). */
function endOfStored(disk: MemoryDisk, { id, offset, size, storeState }: UploadRow): number {
  if (bootOf({ storeState }) !== disk.bootId) return offset;
  const newest = new Map<string | null, string>();
  for (const name of disk.names()) {
    const entry = name.startsWith(piecesOf(id)) ? disk.look(name)?.entry : undefined;
    if (!entry || entry.isUnverified || entry.size === 0 || entry.start + entry.size > (size ?? Infinity)) continue;
    const other = newest.get(entry.after);
    if (other === undefined || numberOfPiece(name) > numberOfPiece(other)) newest.set(entry.after, name);
  }
  let end = offset;
  for (let next = newest.get(lastPieceOf({ storeState })); next !== undefined; next = newest.get(next)) {
    const entry = disk.look(next)?.entry;
    end = entry ? entry.start + entry.size : end;
  }
  return end;
}
