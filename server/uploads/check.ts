/** The pre-check: whether the service has a content of the owner's already, or is receiving it. */
import type { ContentRecord, FileRecord } from '../catalog/catalog.ts';
import type { Challenge } from './challenges.ts';
import type { CheckQuery } from './contract.ts';
import { invalidField } from './errors.ts';
import { giveFile } from './give-file.ts';
import { checkName } from './names.ts';
import type { Parts } from './parts.ts';
import type { Possession } from './possession.ts';
import { hasBytes } from './stored-bytes.ts';
import type { Sha256Of } from './stored-sha256.ts';
import type { FindUnfinished, Unfinished } from './unfinished.ts';

/** The content and the owner's file of it, as rows; or the unfinished uploads of it, and how the content can be proved. */
export type Checked =
  | { status: 'exists'; content: ContentRecord; file: FileRecord | null }
  | (Unfinished & { challenge?: Challenge });

/** @param onCompared - called for each content whose SHA-256 was compared with the requested one. */
export type Check = (query: CheckQuery, onCompared: (content: ContentRecord) => void) => Promise<Checked>;

/** No content has this id. */
const NO_CONTENT = 0;

/** What a check goes by beside the catalog and the store. */
export interface CheckParts {
  /** Called where the owner does not have the content. */
  findUnfinished: FindUnfinished;
  sha256Of: Sha256Of;
  possession: Pick<Possession, 'challengeFor'>;
}

/** Prepares the check. An owner learns of their own contents and uploads alone; see possession.ts for those of others. */
export function createCheck(parts: Parts, { findUnfinished, sha256Of, possession }: CheckParts): Check {
  const { catalog, limits } = parts;

  async function check(query: CheckQuery, onCompared: (content: ContentRecord) => void): Promise<Checked> {
    const { owner, md5, size, sha256, filename, isToProve } = query;
    if (filename !== undefined) checkName(filename, 'filename');
    if (isToProve) requireClaim(query);
    const content = await findContent(query, onCompared);
    // A client does not send what exists, and may have no other copy: the bytes must really be there.
    if (content && (await hasBytes(parts, content))) {
      const file = await giveFile(parts, content, query);
      // Undefined: the content was deleted meanwhile.
      if (file !== undefined) return { status: 'exists', content, file };
    }
    const unfinished = await findUnfinished(query);
    if (!isToProve || size === undefined || sha256 === undefined) return unfinished;
    const challenge = possession.challengeFor({ owner, md5, size, sha256 });
    return challenge ? { ...unfinished, challenge } : unfinished;
  }

  /** The content that the query means, if the asking owner has a file of it. */
  async function findContent(
    query: CheckQuery,
    onCompared: (content: ContentRecord) => void,
  ): Promise<ContentRecord | undefined> {
    if (limits.instant === 'off') return undefined;
    const sameMd5 = (await catalog.findContents({ md5: query.md5 })).filter(
      (content) => query.size === undefined || content.size === query.size,
    );
    // With a name, it becomes a file: then what is in the owner's trash need not be sent again. Without one nothing would keep it,
    // and the client may have no other copy.
    const owns = (id: number): Promise<boolean> =>
      query.filename === undefined ? catalog.ownsContent(query.owner, id) : catalog.ownsOrTrashed(query.owner, id);
    // What nobody has takes as long as what others have.
    if (sameMd5.length === 0) await owns(NO_CONTENT);
    const own: ContentRecord[] = [];
    for (const content of sameMd5) if (await owns(content.id)) own.push(content);
    if (query.sha256 === undefined) {
      // Where the owner has different contents of this MD5, it does not say which of them is meant. What others have of it
      // changes nothing.
      return own.length === 1 ? own[0] : undefined;
    }
    for (const content of own) {
      const sha256 = await sha256Of(content);
      if (sha256 !== undefined) onCompared(content);
      if (sha256 === query.sha256) return content;
    }
    return undefined;
  }

  return check;
}

/** Only a whole claim can be proved: the MD5 names the content, the size says which bytes there are, the SHA-256 leaves no doubt. */
function requireClaim({ size, sha256 }: CheckQuery): void {
  for (const [field, value] of Object.entries({ size, sha256 })) {
    if (value === undefined) throw invalidField(field, `${field} is required with prove.`);
  }
}
