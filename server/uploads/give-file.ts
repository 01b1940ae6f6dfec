/** Gives an owner a file of a content that is here already. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import type { CheckQuery } from './contract.ts';
import { typeOfName } from './names.ts';
import type { Parts } from './parts.ts';

/**
 * The owner's file of the content; with a name in the query, it is created where there is none by that name. Null: the
 * owner has no file of it, and gave no name. Undefined: the content was deleted meanwhile.
 */
export async function giveFile(
  { catalog, surroundings }: Pick<Parts, 'catalog' | 'surroundings'>,
  content: ContentRecord,
  { owner, filename }: Pick<CheckQuery, 'owner' | 'filename'>,
): Promise<FileRecord | null | undefined> {
  const file = await findOrAdd();
  // The publication may not be durable yet: its sender is still waiting for the answer.
  if (file !== undefined) await catalog.durable();
  return file;

  async function findOrAdd(): Promise<FileRecord | null | undefined> {
    if (filename === undefined) return (await catalog.findFileOfContent(content.id, owner, 'latest')) ?? null;
    const id = surroundings.newOrderedId();
    return catalog.addFile(content.id, { id, owner, name: filename, type: typeOfName(filename) });
  }
}
