/** Moves a stopped service's catalog and bytes to other ones. See docs/decisions/0044-moving-to-another-catalog.md. */
import { createDigestPool } from '../../stores/digests/pool.ts';
import { type Content, moveContents } from './contents.ts';
import type { Progress } from './progress.ts';
import { moveRows } from './rows.ts';
import type { MoveSettings } from './settings.ts';
import { type Ends, MOVED_FROM } from './target.ts';

/** Of the target's `meta`, until the end: contents that are damaged, and whose rows are there. */
const PASSED = 'move_damaged';
/** Files of a damaged content that are named. */
const MOST_NAMED = 20;

export interface Moved {
  files: number;
  contents: number;
  /** Of all contents. */
  bytes: number;
  /** Contents that the target has without their bytes. */
  damaged: number;
  /** Unfinished uploads: that go along, or that have ended. */
  unfinished: number;
  stays: boolean;
  /** The target can be used. With `--strict` it cannot as long as a content is damaged. */
  isWhole: boolean;
}

/**
 * @param tell - told of each content that is damaged.
 * @throws CatalogError, StoreError; after each of them the same move can be run again.
 */
export async function move(
  ends: Ends,
  { isStrict, sizesOnly }: Pick<MoveSettings, 'isStrict' | 'sizesOnly'>,
  { progress, tell, signal }: { progress: Progress; tell: (sentence: string) => void; signal: AbortSignal },
): Promise<Moved> {
  const { source: copy, from, target, into, note } = ends;
  const source = copy.catalog;
  const contents = await source.rows.count('contents');
  const bytes = await source.rows.sumSizes('contents');
  progress.begin({ contents, bytes });
  // Told by the run that went past them.
  const passed = Number((await target.rows.listMeta()).find(({ key }) => key === PASSED)?.value ?? 0);
  let damaged = passed;
  async function onDamaged(content: Content, reason: string): Promise<void> {
    damaged++;
    progress.clear();
    for (const line of await describeDamage(ends, content, reason)) tell(line);
  }

  const digests = createDigestPool(['md5']);
  try {
    const told = { onDone: progress.addContent, onBytes: progress.addBytes, onDamaged };
    await moveContents({ source, from, target, into, digests, sizesOnly, signal, ...told });
  } finally {
    await digests.close();
  }
  const files = await source.rows.count('files');
  const unfinished = await source.rows.countReceiving();
  const moved = { files, contents, bytes, damaged, unfinished, stays: into === null };
  if (damaged > passed && isStrict) return { ...moved, isWhole: false };
  // From here on rows stand in the target for contents that are not there.
  await target.rows.setMeta({ [PASSED]: String(damaged) });
  await moveRows({ source, target, into, signal });
  await copy.requireUnchanged();
  await target.durable();
  // From here on a service may use it.
  await target.rows.setMeta({ place: note, [PASSED]: null, [MOVED_FROM]: null });
  await target.durable();
  return { ...moved, isWhole: true };
}

async function describeDamage({ source }: Ends, content: Content, reason: string): Promise<string[]> {
  const files = await source.catalog.rows.filesOf(content.id, MOST_NAMED + 1);
  const named = files.slice(0, MOST_NAMED).map(({ owner, name }) => `  ${JSON.stringify(name)} of ${owner}`);
  if (files.length > MOST_NAMED) named.push('  and more');
  return [`Damaged: the content ${content.md5} (${content.size} bytes): ${reason}. Its files:`, ...named];
}
