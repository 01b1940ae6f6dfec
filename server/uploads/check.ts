/** The pre-check: whether the service has a content already, or is receiving it. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import type { CheckQuery } from './contract.ts';
import { checkName, typeOfName } from './names.ts';
import type { Parts } from './parts.ts';
import { digestStored, hasBytes } from './stored-bytes.ts';
import type { FindUnfinished, Unfinished } from './unfinished.ts';

/** The content and the owner's file of it, as rows; or the unfinished uploads of it. */
export type Checked = { status: 'exists'; content: ContentRecord; file: FileRecord | null } | Unfinished;

/** @param onCompared - called for each content whose SHA-256 was compared with the requested one. */
export type Check = (query: CheckQuery, onCompared: (content: ContentRecord) => void) => Promise<Checked>;

/** Prepares the check. @param findUnfinished - called where the service does not have the content. */
export function createCheck(parts: Parts, findUnfinished: FindUnfinished): Check {
  const { catalog, limits } = parts;
  /** Running computations of SHA-256, by content: clients that ask at the same time share one. */
  const computing = new Map<number, Promise<string | undefined>>();

  async function check(query: CheckQuery, onCompared: (content: ContentRecord) => void): Promise<Checked> {
    if (query.filename !== undefined) checkName(query.filename, 'filename');
    const content = await findContent(query, onCompared);
    // A client does not send what exists, and may have no other copy: the bytes must really be there.
    if (content && (await hasBytes(parts, content))) {
      const file = await fileFor(content, query);
      // Undefined: the content was deleted meanwhile.
      if (file !== undefined) {
        // The publication may not be durable yet: its sender is still waiting for the answer.
        await catalog.durable();
        return { status: 'exists', content, file };
      }
    }
    return findUnfinished(query);
  }

  /** The content that the query means, if the asking owner may learn of it. */
  async function findContent(
    query: CheckQuery,
    onCompared: (content: ContentRecord) => void,
  ): Promise<ContentRecord | undefined> {
    if (limits.instant === 'off') return undefined;
    const sameMd5 = (await catalog.findContents({ md5: query.md5 })).filter(
      (content) => query.size === undefined || content.size === query.size,
    );
    const visible: ContentRecord[] = [];
    for (const content of sameMd5) {
      if (limits.instant === 'all' || (await catalog.ownsContent(query.owner, content.id))) visible.push(content);
    }
    if (query.sha256 === undefined) {
      // Where different contents have this MD5, it does not say which of them is meant.
      return sameMd5.length === 1 ? visible[0] : undefined;
    }
    for (const content of visible) {
      const sha256 = content.sha256 ?? (await sha256Of(content));
      if (sha256 !== undefined) onCompared(content);
      if (sha256 === query.sha256) return content;
    }
    return undefined;
  }

  /**
   * The SHA-256 of a stored content, for a client that gives one: MD5 does not prove a content. It is computed once, and
   * kept in the catalog. Undefined when the bytes are gone or damaged: then the client may send them again.
   */
  async function sha256Of(content: ContentRecord): Promise<string | undefined> {
    const running = computing.get(content.id) ?? computeSha256(content);
    computing.set(content.id, running);
    try {
      return await running;
    } finally {
      computing.delete(content.id);
    }
  }

  async function computeSha256(content: ContentRecord): Promise<string | undefined> {
    const sha256 = (await digestStored(parts, content, ['sha256']))?.sha256;
    if (sha256 !== undefined) await catalog.addDigests(content.id, { sha256 });
    return sha256;
  }

  /**
   * The owner's file of the content; with a name in the query, it is created where there is none by that name. Null: the
   * owner has no file of it, and gave no name. Undefined: the content was deleted meanwhile.
   */
  async function fileFor(content: ContentRecord, query: CheckQuery): Promise<FileRecord | null | undefined> {
    if (query.filename === undefined) {
      return (await catalog.findFileOfContent(content.id, query.owner, 'latest')) ?? null;
    }
    const file = {
      id: parts.surroundings.newOrderedId(),
      owner: query.owner,
      name: query.filename,
      type: typeOfName(query.filename),
    };
    return catalog.addFile(content.id, file);
  }

  return check;
}
