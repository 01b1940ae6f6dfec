/**
 * The story of a join for crash points: two partials, a final over them that is announced before they are whole, and another
 * one once they are. All finals are deleted, and the partials are ended.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { createFileActions } from '../../server/uploads/files.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type Crash, CRASHES, type Tale } from './crash-points.ts';
import { bytesOf } from './crash-upload.ts';
import type { House } from './support.ts';

const OWNER = 'anyone';
const NEVER = new AbortController().signal;
const NOTHING = { md5: null, sha1: null, sha256: null, filename: null, filetype: null, metadata: '' };
/** By the numbers of their partials: one of them is joined twice. */
const EARLY = [0, 1, 0];
const LATE = [0, 1];
/** Once it is all over: reads the bytes of both partials once more. */
const AGAIN = [1, 0];

/** A call that is never made, as the process dies, leaves what the one before it leaves. */
export const JOIN_CRASHES: Crash[] = CRASHES.filter(({ at, follows }) => at === 'after' || follows === 'fail');

interface Partial {
  readonly bytes: Buffer;
  id: string | undefined;
  /** Its last byte was acknowledged. */
  isTold: boolean;
}

interface Final {
  readonly over: readonly number[];
  /** Asked for under this id. */
  id: string | undefined;
  isTold: boolean;
  fileId: string | undefined;
  isDeleting: boolean;
  isDeleted: boolean;
}

/** @param sizes - of the two partials. */
export function joinTale(sizes: readonly [number, number]): Tale {
  const partials = sizes.map((size, index): Partial => ({
    bytes: makeBytes(size, 70 + index),
    id: undefined,
    isTold: false,
  }));
  const finals = [EARLY, LATE].map(newFinal);
  const has = { begunToDelete: false, begunToEnd: false };

  function joined({ over }: Pick<Final, 'over'>): Buffer {
    return Buffer.concat(over.map((index) => partials[index]?.bytes ?? Buffer.alloc(0)));
  }

  async function addPartial({ uploads, parts }: House, partial: Partial): Promise<void> {
    const id = randomUUID();
    await uploads.begin({ id, owner: OWNER, kind: 'partial', declaration: { ...NOTHING, size: partial.bytes.length } });
    await parts.catalog.durable();
    partial.id = id;
  }

  async function send({ uploads }: House, partial: Partial): Promise<void> {
    const id = partial.id ?? '';
    const { offset, fileId } = await uploads.view(id, OWNER);
    expect(fileId).toBeNull();
    if (partial.isTold) expect(offset).toBe(partial.bytes.length);
    if (offset === partial.bytes.length) return;
    const writer = await uploads.open(id, OWNER, { signal: NEVER });
    try {
      const rest = partial.bytes.subarray(writer.upload.offset);
      await writer.append(Readable.from([rest]), { maxBytes: rest.length });
    } finally {
      await writer.release();
    }
    partial.isTold = true;
  }

  async function addFinal({ uploads, parts }: House, final: Final): Promise<void> {
    final.id = randomUUID();
    const declaration = { ...NOTHING, size: null, md5: md5(joined(final)), filename: 'joined' };
    const over = final.over.map((index) => partials[index]?.id ?? '');
    await uploads.beginFinal({ id: final.id, owner: OWNER, partials: over, declaration });
    await parts.catalog.durable();
    final.isTold = true;
    await note({ parts }, final);
  }

  /** The client looks at the final. */
  async function note({ parts: { catalog } }: Pick<House, 'parts'>, final: Final): Promise<void> {
    const row = await catalog.findUpload(final.id ?? '');
    await catalog.durable();
    if (final.isTold) expect(row).toBeDefined();
    if (final.fileId !== undefined) expect(row?.fileId).toBe(final.fileId);
    final.fileId = row?.fileId ?? undefined;
  }

  async function removeFile(house: House, final: Final): Promise<void> {
    has.begunToDelete = true;
    final.isDeleting = true;
    await createFileActions(house.parts).remove(final.fileId ?? '', OWNER);
    final.isDeleted = true;
  }

  async function endPartial({ uploads }: House, { id = '' }: Partial): Promise<void> {
    const writer = await uploads.open(id, OWNER, { signal: NEVER });
    try {
      await writer.remove();
    } finally {
      await writer.release();
    }
  }

  /** The final is published, or can be joined again; then its file has the bytes of its partials. */
  async function finishFinal(house: House, final: Final): Promise<void> {
    const { catalog } = house.parts;
    if (!final.isDeleting) {
      // One that was refused has ended, or is led to its end.
      const row = await catalog.findUpload(final.id ?? '');
      const isThere = row?.state === 'receiving' || row?.state === 'complete';
      if (!isThere) {
        expect(final.isTold).toBe(false);
        await addFinal(house, final);
      }
      await house.finals.attend(final.id ?? '');
      await note(house, final);
      expect((await bytesOf(house, final.fileId))?.equals(joined(final))).toBe(true);
    }
    const found = await bytesOf(house, final.fileId);
    if (final.isDeleted) expect(found).toBeUndefined();
    if (!found) return;
    expect(found.equals(joined(final))).toBe(true);
    await removeFile(house, final);
  }

  return {
    get isDeleting() {
      return has.begunToDelete;
    },

    async tell(house) {
      const [first, second] = partials as [Partial, Partial];
      const [early, late] = finals as [Final, Final];
      for (const partial of partials) await addPartial(house, partial);
      await send(house, first);
      await addFinal(house, early);
      await send(house, second);
      await house.finals.settled();
      await addFinal(house, late);
      for (const final of finals) {
        if (final.fileId === undefined) await house.finals.attend(final.id ?? '');
        await note(house, final);
        await removeFile(house, final);
      }
      has.begunToEnd = true;
      for (const partial of partials) await endPartial(house, partial);
    },

    async finish(house) {
      if (!has.begunToEnd) {
        for (const partial of partials) {
          if (partial.id === undefined) await addPartial(house, partial);
          await send(house, partial);
        }
        await house.finals.settled();
      }
      for (const final of finals) await finishFinal(house, final);
      if (!has.begunToEnd) await finishFinal(house, newFinal(AGAIN));
      for (const partial of partials) await endPartial(house, partial).catch(isGone(house, partial));
    },
  };
}

function newFinal(over: readonly number[]): Final {
  return { over, id: undefined, isTold: false, fileId: undefined, isDeleting: false, isDeleted: false };
}

/** Passes over the failure to end an upload that has ended. */
function isGone({ parts }: House, { id = '' }: Partial): (error: unknown) => Promise<void> {
  return async (error) => {
    const row = await parts.catalog.findUpload(id);
    if (row?.state === 'receiving') throw error;
  };
}
