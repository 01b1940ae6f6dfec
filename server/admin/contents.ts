/** Brings contents into the target: copies them and reads the copies back, or reads them where they stay. */
import type { DigestPool } from '../../stores/digests/digests.ts';
import type { ContentReader, Store } from '../../stores/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { CopiedRow } from '../catalog/rows.ts';
import { forEachAtOnce } from './at-once.ts';
import { clearUp, type Copying, copyContent, takeUpCopies } from './copy-content.ts';
import { DamagedError, openExpected, verifyContent } from './verify.ts';

/** A content's row. */
export type Content = CopiedRow<'contents'>;

/** What `moveContents` works with. */
export interface ContentsMove {
  source: Catalog;
  from: ContentReader;
  target: Catalog;
  /** Null: the bytes stay where they are. */
  into: Store | null;
  digests: DigestPool;
  /** Whether only the size is checked of bytes that stay. */
  sizesOnly: boolean;
  signal: AbortSignal;
  /** Called for each content once it is in the target. */
  onDone: () => void;
  /** Called with numbers of bytes, as they are copied or verified; once for a content that was in the target before. */
  onBytes: (bytes: number) => void;
  onDamaged: (content: Content, reason: string) => Promise<void>;
}

const PAGE_ROWS = 500;
/** How many contents are copied at once: small ones wait for disks and answers, large ones for memory (S3_BUFFER_BYTES). */
const AT_ONCE = 8;

/** Moves all contents that the target lacks. A row in the target means that the bytes were verified. */
export async function moveContents(move: ContentsMove): Promise<void> {
  const bring = move.into ? await bringTo({ ...move, into: move.into }) : verifyInPlace;
  await forEachAtOnce(listMissing(move), { most: AT_ONCE, signal: move.signal }, async (content, signal) => {
    try {
      await bring({ ...move, signal }, content);
      move.onDone();
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      await move.onDamaged(content, error.message);
    }
  });
}

/** Yields contents that the target lacks; reports the others as done. */
async function* listMissing({ source, target, onDone, onBytes }: ContentsMove): AsyncIterable<Content> {
  for (let after: readonly [number] | null = null; ;) {
    const page: Content[] = await source.rows.list('contents', after, PAGE_ROWS);
    const last = page.at(-1);
    if (!last) return;
    const there = new Set((await target.rows.list('contents', after, PAGE_ROWS)).map(({ id }) => id));
    for (const content of page) {
      if (!there.has(content.id)) {
        yield content;
        continue;
      }
      onBytes(content.size);
      onDone();
    }
    after = [last.id];
  }
}

async function bringTo(copying: Copying): Promise<(move: ContentsMove, content: Content) => Promise<void>> {
  const begun = await takeUpCopies(copying);
  return async ({ signal, target }, content) => {
    const [oldest] = await copying.source.rows.filesOf(content.id, 1);
    const { key, upload } = await copyContent({ ...copying, signal }, content, {
      begun: begun.get(content.id),
      named: { filename: oldest?.name ?? null, filetype: oldest?.type ?? null },
    });
    await target.rows.insert('contents', [{ ...content, key }]);
    await clearUp(copying, upload, 'keep');
  };
}

async function verifyInPlace(move: ContentsMove, content: Content): Promise<void> {
  const { from, target, digests, sizesOnly, signal, onBytes } = move;
  if (sizesOnly) (await openExpected(from, content.key, content, { offset: 0, signal })).destroy();
  else await verifyContent(from, content.key, content, { digests, signal, onBytes });
  await target.rows.insert('contents', [content]);
}
