/**
 * Texts that go out and come back, and that only the service can read: cursors and names in which numbers of the catalog stand.
 * Those count what all owners have, so showing them would tell how busy others are. What is sealed for one owner opens for that
 * owner alone, on every node, and is the same each time. See docs/decisions/0026-what-strangers-learn.md.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { invalidCursor } from '../catalog/cursor.ts';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Seal {
  seal(owner: string, bytes: Uint8Array): string;
  /** Undefined where it was not sealed for this owner. */
  open(owner: string, sealed: string): Buffer | undefined;
}

/** @param use - what is sealed: what was sealed for another use does not open. */
export function createSeal(secret: string, use: string): Seal {
  const keyFor = (step: string): Buffer =>
    createHmac('sha256', Buffer.from(secret, 'hex')).update(`tidemark seal of ${use}: ${step}`).digest();
  const [key, nonceKey] = [keyFor('text'), keyFor('nonce')];

  return {
    seal(owner, bytes) {
      // Of the text itself (RFC 5297, "synthetic initialization vector"): no two texts have one nonce, and nothing is drawn.
      const mac = createHmac('sha256', nonceKey).update(`${owner}\n`).update(bytes).digest();
      const nonce = mac.subarray(0, NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(owner));
      return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]).toString('base64url');
    },

    open(owner, sealed) {
      const all = Buffer.from(sealed, 'base64url');
      if (all.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv(CIPHER, key, all.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(owner)).setAuthTag(all.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(all.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
}

/** Cursors of the catalog as clients see them. */
export interface SealedCursors {
  seal(owner: string, cursor: string | null): string | null;
  /** The query, with the cursor that the catalog wrote. @throws CatalogError `invalid_cursor`. */
  opened<Query extends { owner: string; cursor?: string }>(query: Query): Query;
}

export function createSealedCursors(secret: string): SealedCursors {
  const sealed = createSeal(secret, 'cursors of folders');
  return {
    // The catalog writes its own in base64url, too: it is not written twice.
    seal: (owner, cursor) => cursor && sealed.seal(owner, Buffer.from(cursor, 'base64url')),
    opened(query) {
      if (query.cursor === undefined) return query;
      const cursor = sealed.open(query.owner, query.cursor);
      if (!cursor) throw invalidCursor('it is not one of this service');
      return { ...query, cursor: cursor.toString('base64url') };
    },
  };
}

/** What deletions of folders are called by clients. */
export interface DeletionIds {
  seal(owner: string, deletion: string): string;
  /** Of one that there is not: a name that no deletion has. */
  open(owner: string, id: string): string;
}

export function createDeletionIds(secret: string): DeletionIds {
  const sealed = createSeal(secret, 'deletions');
  return {
    seal: (owner, deletion) => sealed.seal(owner, Buffer.from(deletion)),
    open: (owner, id) => sealed.open(owner, id)?.toString() ?? '',
  };
}
