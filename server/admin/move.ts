/** Moves a stopped service to another catalog, and to another store. See docs/decisions/0044-moving-to-another-catalog.md. */
import { createDigestPool } from '../../stores/digests/pool.ts';
import { type Content, moveContents } from './contents.ts';
import type { Progress } from './progress.ts';
import { moveRows } from './rows.ts';
import type { MoveSettings } from './settings.ts';
import { type Ends, MOVED_FROM } from './target.ts';

/** The key in the target's `meta`, until the move has ended, of the number of damaged contents whose rows may be there. */
const PASSED = 'move_damaged';
/** How many files of a damaged content are named. */
const MOST_NAMED = 20;

/** The outcome of a move. */
export interface Moved {
  files: number;
  contents: number;
  /** Of all contents. */
  bytes: number;
  /** Contents that the target has without their bytes. */
  damaged: number;
  /** Unfinished uploads: moved where the bytes stay, otherwise ended. */
  unfinished: number;
  /** Whether the bytes stay in their store. */
  stays: boolean;
  /** Whether the target can be used. With `--strict` it cannot while a content is damaged. */
  isWhole: boolean;
}

/**
 * Moves everything, or what an interrupted move has left.
 *
 * @param tell - called with sentences about each damaged content.
 * @throws CatalogError, StoreError; after either, the same move can be run again.
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
  // An earlier run has reported these.
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
  // From here on the target has rows of contents whose bytes it does not have.
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
  const named = files.slice(0, MOST_NAMED).map(({ owner, path }) => `  ${JSON.stringify(path)} of ${owner}`);
  if (files.length > MOST_NAMED) named.push('  and more');
  return [`Damaged: the content ${content.md5} (${content.size} bytes): ${reason}. Its files:`, ...named];
}
