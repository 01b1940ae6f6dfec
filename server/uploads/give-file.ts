/** Gives an owner a file of a content that is here already. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import type { CheckQuery } from './contract.ts';
import { fateOf } from './fate.ts';
import { typeOfName } from './names.ts';
import type { Parts } from './parts.ts';
import { removeReplaced } from './remove-bytes.ts';

/**
 * The owner's file of the content; with a name in the query, it is created where there is none by that name. Null: the
 * owner has no file of it, and gave no name. Undefined: the content was deleted meanwhile.
 */
export async function giveFile(
  parts: Parts,
  content: ContentRecord,
  { owner, filename, onConflict }: Pick<CheckQuery, 'owner' | 'filename' | 'onConflict'>,
): Promise<FileRecord | null | undefined> {
  const { catalog, surroundings, limits } = parts;
  const file = await findOrAdd();
  // The publication may not be durable yet: its sender is still waiting for the answer.
  if (file !== undefined) await catalog.durable();
  return file;

  async function findOrAdd(): Promise<FileRecord | null | undefined> {
    if (filename === undefined) return (await catalog.findFileOfContent(content.id, owner, 'latest')) ?? null;
    const id = surroundings.newOrderedId();
    const replaces = onConflict ? { onConflict, fateOfReplaced: fateOf(limits) } : {};
    const added = { id, owner, name: filename, type: typeOfName(filename), ...replaces };
    const placed = await catalog.addFile(content.id, added);
    if (placed?.removed) {
      await catalog.durable();
      await removeReplaced(parts, placed.removed);
    }
    return placed?.file;
  }
}
