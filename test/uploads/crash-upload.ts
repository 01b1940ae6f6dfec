/** The story of an upload for crash points: two requests, the first of which may be cut or refused, and a deletion. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ExpectedChecksum } from '../../server/uploads/checksums.ts';
import { hasCode } from '../../server/uploads/errors.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import { type Crash, CRASHES, type Tale } from './crash-points.ts';
import type { House } from './support.ts';

const OWNER = 'anyone';
const NEVER = new AbortController().signal;

/** The crashes for a story: with checksums, those after which the call has taken effect. The others leave less. */
export function crashesOf({ first }: Pick<Story, 'first'>): Crash[] {
  return first.checksum ? CRASHES.filter(({ at }) => at === 'after') : CRASHES;
}

/** What a client sends. */
export interface Story {
  bytes: Buffer;
  /** As the client sends them. */
  chunkBytes: number;
  first: Sent;
  /** The upload's length is only expected: a request of its own completes it, not its last byte. */
  completesByRequest?: boolean;
}

/** What the client has heard, and has asked for. */
interface Told {
  readonly story: Story;
  id: string | undefined;
  offset: number;
  fileId: string | undefined;
  /** The client has sent what completes the upload; before that, it must not be published. */
  hasCompleted: boolean;
  isDeleting: boolean;
  isDeleted: boolean;
}

export interface Sent {
  /** The connection breaks before this byte: what comes before it arrives. */
  cutAt?: number | undefined;
  /** The request ends before this byte. */
  until?: number;
  /** It declares the length that was only expected. */
  completes?: boolean;
  /** The request has a checksum: it counts whole, or not at all. */
  checksum?: 'right' | 'wrong';
}

/** One request from where the upload stands. */
async function send({ uploads }: House, told: Told, given: Sent = {}): Promise<void> {
  const { bytes, chunkBytes, completesByRequest = false } = told.story;
  const { cutAt, until = bytes.length, completes = false, checksum } = given;
  if (completes || !completesByRequest) told.hasCompleted = true;
  const id = told.id ?? '';
  const { offset } = await uploads.view(id, OWNER);
  expect(offset).toBeGreaterThanOrEqual(told.offset);
  told.offset = offset;
  async function* body(): AsyncIterable<Buffer> {
    for (let at = offset; at < (cutAt ?? until); at += chunkBytes) {
      yield bytes.subarray(at, Math.min(at + chunkBytes, cutAt ?? until));
      await turn();
    }
    if (cutAt !== undefined) throw new Error('the line is cut');
  }
  const writer = await uploads.open(id, OWNER, { signal: NEVER });
  try {
    const { state, size, expectedSize } = writer.upload;
    const isExpected = size === null && expectedSize === bytes.length;
    if (completesByRequest && !completes && state === 'receiving' && !isExpected)
      await writer.expectLength(bytes.length);
    const declared = completes && size === null ? { length: bytes.length } : {};
    const received = await writer.append(Readable.from(body()), {
      maxBytes: bytes.length - offset,
      checksum: checksum && checksumOf(bytes.subarray(offset, checksum === 'right' ? until : until - 1)),
      ...declared,
    });
    told.offset = received.offset;
    told.fileId = received.file?.id;
  } finally {
    await writer.release();
  }
}

function checksumOf(bytes: Buffer): ExpectedChecksum {
  return { algorithm: 'sha1', expected: createHash('sha1').update(bytes).digest() };
}

/** An upload in two requests, told by one process. */
export function uploadTale(story: Story): Tale {
  const told: Told = {
    story,
    id: undefined,
    offset: 0,
    fileId: undefined,
    hasCompleted: false,
    isDeleting: false,
    isDeleted: false,
  };
  return {
    get isDeleting() {
      return told.isDeleting;
    },
    tell: (house) => tellStory(house, told),
    finish: (house) => finish(house, told),
  };
}

/** Create, append in two requests, the first of which may be cut or refused, publish, delete. */
async function tellStory(house: House, told: Told): Promise<void> {
  const { bytes, first } = told.story;
  const id = await house.begin(bytes);
  await house.parts.catalog.durable();
  told.id = id;
  await send(house, told, first).catch((error: unknown) => {
    if (first.checksum !== 'wrong' || !hasCode(error, 'checksum_mismatch')) throw error;
  });
  await send(house, told, first.checksum ? { checksum: 'right' } : {});
  if (told.story.completesByRequest) await send(house, told, { completes: true });
  await remove(house, told);
}

async function remove({ parts }: House, told: Told): Promise<void> {
  told.isDeleting = true;
  await createFileActions(parts).remove(told.fileId ?? '', OWNER);
  told.isDeleted = true;
}

/** What was told holds; the upload is finished, and its file deleted: then nothing is left. */
async function finish(house: House, told: Told): Promise<void> {
  const { catalog } = house.parts;
  const { bytes, first } = told.story;
  if (!told.isDeleting) {
    if (told.fileId === undefined) {
      told.id ??= await house.begin(bytes);
      const { offset, state } = await house.uploads.view(told.id, OWNER);
      expect(offset).toBeGreaterThanOrEqual(told.offset);
      if (!told.hasCompleted) expect(state).toBe('receiving');
      if (first.checksum) expect(wholes(told.story)).toContain(offset);
      if (state === 'receiving') await send(house, told);
      if (state === 'receiving' && told.story.completesByRequest && !told.fileId)
        await send(house, told, { completes: true });
      told.fileId ??= (await catalog.findUpload(told.id))?.fileId ?? undefined;
    }
    // Comparing them by `toEqual` takes minutes where they are many.
    expect((await bytesOf(house, told.fileId))?.equals(bytes)).toBe(true);
  }
  const found = await bytesOf(house, told.fileId);
  if (told.isDeleted) expect(found).toBeUndefined();
  if (found) {
    expect(found.equals(bytes)).toBe(true);
    await remove(house, told);
  }
  expect(await bytesOf(house, told.fileId)).toBeUndefined();
}

/** The offsets that a story has whose requests count whole or not at all. */
function wholes({ bytes, first }: Story): number[] {
  return [0, ...(first.checksum === 'right' ? [first.until ?? bytes.length] : []), bytes.length];
}

/** The bytes of a file; undefined where it is not there. */
export async function bytesOf({ parts }: House, fileId: string | undefined): Promise<Buffer | undefined> {
  const file = await parts.catalog.findFile(fileId ?? '', OWNER);
  if (!file) return undefined;
  const { key, size } = file.content;
  return buffer(await parts.store.readContent(key, undefined, undefined, size));
}
