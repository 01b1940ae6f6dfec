/**
 * Cursors of the event stream: the number of an event, encrypted for one owner. Numbers count the events of all owners, so
 * showing them would reveal how busy others are. A cursor is one block of AES over number and owner: it is the same on every
 * node, and reveals only whether two cursors of an owner name the same event. See docs/decisions/0031-the-outbox.md.
 */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';

export interface Cursors {
  write(owner: string, number: number): string;
  /** The number of the event; undefined where this catalog has not written the cursor for this owner. */
  read(owner: string, cursor: string): number | undefined;
}

const NUMBER_BYTES = 6;
/** AES: one block. The bytes after the number are those of the owner's hash. */
const BLOCK_BYTES = 16;
/** 16 bytes in base64url, without padding. */
const CURSOR = /^[\w-]{22}$/;

/** @param secret - 16 bytes in hexadecimal digits. */
export function createCursors(secret: string): Cursors {
  const key = Buffer.from(secret, 'hex');

  function blockOf(owner: string, number: number): Buffer {
    const block = createHash('sha256').update(owner).digest().subarray(0, BLOCK_BYTES);
    block.writeUIntBE(number, 0, NUMBER_BYTES);
    return block;
  }

  return {
    write(owner, number) {
      const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
      return cipher.update(blockOf(owner, number)).toString('base64url');
    },

    read(owner, cursor) {
      if (!CURSOR.test(cursor)) return undefined;
      const decipher = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false);
      const block = decipher.update(Buffer.from(cursor, 'base64url'));
      const number = block.readUIntBE(0, NUMBER_BYTES);
      return block.equals(blockOf(owner, number)) ? number : undefined;
    },
  };
}
