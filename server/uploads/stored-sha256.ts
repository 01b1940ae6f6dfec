/** The SHA-256 of stored contents, which is computed when a client first asks for one by it. */
import type { ContentRecord } from '../catalog/catalog.ts';
import type { Parts } from './parts.ts';
import { digestStored } from './stored-bytes.ts';

/**
 * The SHA-256 of a stored content, for a client that gives one: MD5 does not prove a content. It is computed once, and kept in
 * the catalog. Undefined when the bytes are gone or damaged: then the client may send them again.
 */
export type Sha256Of = (content: ContentRecord) => Promise<string | undefined>;

/** Prepares the computation. */
export function createSha256Of(parts: Parts): Sha256Of {
  /** Running computations, by content: clients that ask at the same time share one. */
  const computing = new Map<number, Promise<string | undefined>>();

  async function compute(content: ContentRecord): Promise<string | undefined> {
    const sha256 = (await digestStored(parts, content, ['sha256']))?.sha256;
    if (sha256 !== undefined) await parts.catalog.addDigests(content.id, { sha256 });
    return sha256;
  }

  return async (content) => {
    if (content.sha256 !== null) return content.sha256;
    const running = computing.get(content.id) ?? compute(content);
    computing.set(content.id, running);
    try {
      return await running;
    } finally {
      computing.delete(content.id);
    }
  };
}
