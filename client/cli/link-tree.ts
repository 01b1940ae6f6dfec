/** What a link has, with all that is below its folders. What a link tells comes from others: it is bounded, and its names are no paths here. */
import { MAX_FOLDERS } from '../../server/wire/paths.ts';
import type { SharedJson, SharedLevelJson } from '../../server/wire/links.ts';
import { CliError } from './errors.ts';
import type { LinkSession } from './link-session.ts';

/** A file of a link. `name`: a path that begins with the folder of the link, where it is in one. */
export interface LinkedFile {
  name: string;
  md5: string;
  size: number;
  url: string;
}

/** All files of a link, in the order of its archive: folder by folder, of each its files before its folders; then single files. */
export async function listLinked(session: LinkSession, shared: SharedJson): Promise<LinkedFile[]> {
  const found: LinkedFile[] = [];
  for (const { position, name } of shared.folders ?? []) await walk({ session, position, root: name, found }, []);
  const single = shared.files.map(({ name, md5, size, position }) => ({
    name,
    md5,
    size,
    url: session.urlOf(position),
  }));
  return [...found, ...single];
}

interface Walk {
  session: LinkSession;
  position: number;
  /** The name of the folder of the link. */
  root: string;
  found: LinkedFile[];
}

/** @param way - from the folder of the link down. */
async function walk(of: Walk, way: readonly string[]): Promise<void> {
  const { session, position, root, found } = of;
  if (way.length > MAX_FOLDERS) throw new CliError('protocol', 'the link has folders within folders without end');
  const folders: string[] = [];
  let search: string | null = '?limit=1000';
  while (search !== null) {
    const level: SharedLevelJson = await session.level(position, way, search);
    for (const { name, md5, size } of level.files) {
      const path = [...way, lastOf(name)];
      found.push({ name: [root, ...path].join('/'), md5, size, url: session.urlOf({ position, path }) });
    }
    folders.push(...level.folders.map(({ name }) => lastOf(name)));
    const next: string | null = level.nextUrl === null ? null : new URL(level.nextUrl).search;
    if (next === search) throw new CliError('protocol', 'the link lists a folder without end');
    search = next;
  }
  for (const name of folders) await walk(of, [...way, name]);
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
