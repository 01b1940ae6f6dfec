/**
 * A disk that loses its power, strictly: of a file is there what a sync covered that began
 * after the write and had ended before the cut; of a folder's entries those that its own sync
 * covered. What no sync covered may be there or not, each write and each entry by itself. What
 * a failed sync was for counts as lost: the kernel tells once, and takes it for clean.
 */
import { constants } from 'node:fs';
import { link, mkdir, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Call } from './recording.ts';

/** What becomes of what no sync covered: none of it is there, all, or some, as a seed says. */
export type Luck = 'none' | 'all' | { seed: number };

/** The catalog's room for a full disk: its bytes are random, and are never read. */
const RESERVE = '-reserve';
/** A power cut can take a part of a write: disks write whole sectors. */
const SECTOR_BYTES = 512;

interface Change {
  /** Position among all calls. */
  index: number;
  /** Position of the end of the sync that covered it; Infinity: none did. */
  durableAt: number;
}

type Write = Change & ({ offset: number; bytes: Buffer } | { size: number });
/** Entries that are made and removed at once: a rename is one. */
type Naming = Change & { entries: [name: string, node: Node | null][] };

interface File {
  kind: 'file';
  changes: Write[];
}

interface Folder {
  kind: 'folder';
  changes: Naming[];
  /** As the running process sees it. */
  live: Map<string, Node>;
}

type Node = File | Folder;

interface Sync {
  node: Node;
  begin: number;
}

export interface RecordedDisk {
  /** How many calls there are to cut before: 0 to `calls.length`. */
  readonly calls: readonly Call[];
  /** Makes, in an empty folder, what is left when the power goes before call `cut`. */
  leave(cut: number, luck: Luck, into: string): Promise<void>;
}

/** Replays what was recorded below `root`, an empty folder when it began. */
export function replay(calls: readonly Call[], root: string): RecordedDisk {
  const top = newFolder();
  const open = new Map<string, Node>();
  const syncs = new Map<string, Sync>();

  function folderOf(path: string): Folder {
    let found: Node | undefined = top;
    for (const part of dirname(path).slice(root.length).split('/').filter(Boolean)) {
      found = found?.kind === 'folder' ? found.live.get(part) : undefined;
    }
    if (found?.kind !== 'folder') throw new Error(`${path}: its folder was not recorded`);
    return found;
  }

  function find(path: string): Node | undefined {
    return path === root ? top : folderOf(path).live.get(basename(path));
  }

  function required(node: Node | undefined, path: string): Node {
    if (!node) throw new Error(`${path} was not recorded`);
    return node;
  }

  function name(index: number, folder: Folder, entries: [string, Node | null][]): void {
    for (const [entry, node] of entries) {
      if (node) folder.live.set(entry, node);
      else folder.live.delete(entry);
    }
    folder.changes.push({ index, durableAt: Infinity, entries });
  }

  function write(node: Node, change: Write): void {
    if (node.kind !== 'file') throw new Error('a write to a folder');
    node.changes.push(change);
  }

  function take(call: Call, index: number): void {
    const unsynced = { index, durableAt: Infinity };
    switch (call.kind) {
      case 'start':
        return;
      case 'open': {
        let node = find(call.path);
        if (!node) {
          node = newFile();
          name(index, folderOf(call.path), [[basename(call.path), node]]);
        } else if (call.flags & constants.O_TRUNC) write(node, { ...unsynced, size: 0 });
        open.set(`${call.pid}:${call.fd}`, node);
        return;
      }
      case 'close':
        open.delete(`${call.pid}:${call.fd}`);
        return;
      case 'write':
      case 'ftruncate': {
        const node = required(open.get(`${call.pid}:${call.fd}`), `descriptor ${call.fd}`);
        write(node, { ...unsynced, ...call });
        return;
      }
      case 'truncate':
        write(required(find(call.path), call.path), { ...unsynced, size: call.size });
        return;
      case 'syncBegin': {
        const node = required(open.get(`${call.pid}:${call.fd}`), `descriptor ${call.fd}`);
        syncs.set(`${call.pid}:${call.token}`, { node, begin: index });
        return;
      }
      case 'syncEnd': {
        const sync = syncs.get(`${call.pid}:${call.token}`);
        if (!sync) throw new Error('the end of a sync that did not begin');
        for (const change of sync.node.changes) {
          if (change.index > sync.begin || change.durableAt !== Infinity) continue;
          change.durableAt = call.failed ? NaN : index;
        }
        return;
      }
      case 'link':
        name(index, folderOf(call.to), [[basename(call.to), required(find(call.path), call.path)]]);
        return;
      case 'rename': {
        const node = required(find(call.path), call.path);
        const from = folderOf(call.path);
        if (from !== folderOf(call.to)) throw new Error('a rename from one folder to another is not modelled');
        if (find(call.to) === node) return;
        name(index, from, [
          [basename(call.path), null],
          [basename(call.to), node],
        ]);
        return;
      }
      case 'mkdir':
        name(index, folderOf(call.path), [[basename(call.path), newFolder()]]);
        return;
      case 'unlink':
      case 'rmdir':
        name(index, folderOf(call.path), [[basename(call.path), null]]);
        return;
    }
  }

  for (const [index, call] of calls.entries()) take(call, index);
  return { calls, leave: (cut, luck, into) => leaveFolder(top, { cut, luck, into, made: new Map() }, '') };
}

function newFile(): File {
  return { kind: 'file', changes: [] };
}

function newFolder(): Folder {
  return { kind: 'folder', changes: [], live: new Map() };
}

interface Leaving {
  cut: number;
  luck: Luck;
  into: string;
  /** Where a file was made: its second name is a link. */
  made: Map<File, string>;
}

async function leaveFolder(folder: Folder, leaving: Leaving, path: string): Promise<void> {
  const left = new Map<string, Node>();
  for (const change of folder.changes) {
    if (change.index >= leaving.cut) break;
    if (!isThere(change, leaving, 0)) continue;
    for (const [entry, node] of change.entries) {
      if (node) left.set(entry, node);
      else left.delete(entry);
    }
  }
  for (const [entry, node] of left) {
    const whole = join(leaving.into, path, entry);
    if (node.kind === 'folder') {
      await mkdir(whole);
      await leaveFolder(node, leaving, join(path, entry));
      continue;
    }
    const first = leaving.made.get(node);
    if (first !== undefined) await link(first, whole);
    else {
      leaving.made.set(node, whole);
      const content = entry.endsWith(RESERVE) ? '' : contentOf(node, leaving);
      await writeFile(whole, content, { mode: 0o600 });
      if (entry.endsWith(RESERVE)) await truncate(whole, sizeAt(node, leaving.cut));
    }
  }
}

/** Whether a change, or a part of it, is there after the cut. */
function isThere({ index, durableAt }: Change, { cut, luck }: Leaving, part: number): boolean {
  if (durableAt < cut || luck === 'all') return true;
  return luck !== 'none' && (mix(luck.seed, index, part) & 1) === 1;
}

/** As the process saw it. */
function sizeAt(file: File, cut: number): number {
  let size = 0;
  for (const change of file.changes) {
    if (change.index >= cut) break;
    size = 'bytes' in change ? Math.max(size, change.offset + change.bytes.length) : change.size;
  }
  return size;
}

function contentOf(file: File, leaving: Leaving): Buffer {
  let most = 0;
  for (const change of file.changes) {
    if (change.index >= leaving.cut) break;
    most = Math.max(most, 'bytes' in change ? change.offset + change.bytes.length : change.size);
  }
  const content = Buffer.alloc(most);
  let size = 0;
  for (const change of file.changes) {
    if (change.index >= leaving.cut) break;
    if (!('bytes' in change)) {
      if (!isThere(change, leaving, 0)) continue;
      if (change.size < size) content.fill(0, change.size, size);
      size = change.size;
    } else if (change.durableAt < leaving.cut || typeof leaving.luck === 'string') {
      if (!isThere(change, leaving, 0)) continue;
      change.bytes.copy(content, change.offset);
      size = Math.max(size, change.offset + change.bytes.length);
    } else size = writeSectors(content, size, change, leaving);
  }
  return content.subarray(0, size);
}

/** Some sectors of a write, and its size or not: the file may be as long as it was to be without the bytes. */
function writeSectors(
  content: Buffer,
  before: number,
  change: Change & { offset: number; bytes: Buffer },
  leaving: Leaving,
): number {
  let size = before;
  const end = change.offset + change.bytes.length;
  if (isThere(change, leaving, -1)) size = Math.max(size, end);
  for (let at = change.offset; at < end;) {
    const next = Math.min(end, at - (at % SECTOR_BYTES) + SECTOR_BYTES);
    if (isThere(change, leaving, at)) {
      change.bytes.copy(content, at, at - change.offset, next - change.offset);
      size = Math.max(size, next);
    }
    at = next;
  }
  return size;
}

/** A number that looks random, the same for the same three. */
export function mix(a: number, b: number, c: number): number {
  let mixed =
    Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35) ^ Math.imul(c + 1, 0x27d4eb2f);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
