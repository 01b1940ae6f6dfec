/** The story of two small uploads for crash points: one that comes whole, and one that is begun before. Then a deletion. */
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import type { FileView } from '../../server/uploads/contract.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import { makeBytes } from '../harness/bytes.ts';
import type { Tale } from './crash-points.ts';
import { bytesOf } from './crash-upload.ts';
import type { House } from './support.ts';

const OWNER = 'anyone';
const NEVER = new AbortController().signal;
const [whole, begun] = [makeBytes(5_000, 59), makeBytes(3_000, 60)] as const;
const DECLARED = { md5: null, sha1: null, sha256: null, filename: 'a', filetype: null, metadata: '' };

/** What the client has heard, and has asked for. */
interface Told {
  /** Of `whole`. */
  fileId?: string | undefined;
  /** The address of the upload of `begun`. */
  uploadId?: string;
  hasCompleted: boolean;
  isDeleting: boolean;
}

/** Two uploads, told by one process. */
export function atOnceTale(): Tale {
  const told: Told = { hasCompleted: false, isDeleting: false };
  return {
    get isDeleting() {
      return told.isDeleting;
    },
    tell: (house) => tell(house, told),
    finish: (house) => finish(house, told),
  };
}

async function tell(house: House, told: Told): Promise<void> {
  await sendMissing(house, told);
  told.isDeleting = true;
  await removeAll(house);
}

/** Sends what the client has not heard to be complete: whole again, as it knows of no bytes that arrived. */
async function sendMissing(house: House, told: Told): Promise<void> {
  const { uploads, parts } = house;
  if (told.fileId === undefined) {
    const request = { id: parts.surroundings.newId(), owner: OWNER, declaration: { ...DECLARED, size: whole.length } };
    const file =
      (await uploads.createAtOnce(request, whole)) ?? (await append(await uploads.beginWriting(request), whole));
    told.fileId = file?.id;
  }
  if (told.uploadId === undefined) {
    const id = await house.begin(begun);
    await parts.catalog.durable();
    told.uploadId = id;
  }
  if (!told.hasCompleted && (await uploads.view(told.uploadId, OWNER)).state === 'receiving') {
    const id = told.uploadId;
    if (!(await uploads.completeAtOnce(id, OWNER, begun)))
      await append(await uploads.open(id, OWNER, { signal: NEVER }), begun);
  }
  told.hasCompleted = true;
}

/** The way of all other uploads. */
async function append(
  writer: Awaited<ReturnType<House['uploads']['beginWriting']>>,
  bytes: Buffer,
): Promise<FileView | null> {
  try {
    const left = bytes.subarray(writer.upload.offset);
    return (await writer.append(Readable.from([left]), { maxBytes: left.length })).file;
  } finally {
    await writer.release();
  }
}

/** What was told holds; what was not is sent again; and once all is deleted, nothing is left. */
async function finish(house: House, told: Told): Promise<void> {
  if (!told.isDeleting) {
    for (const [fileId, bytes] of [
      [told.fileId, whole],
      [told.hasCompleted ? (await house.uploads.view(told.uploadId ?? '', OWNER)).fileId : undefined, begun],
    ] as const) {
      if (fileId) expect((await bytesOf(house, fileId))?.equals(bytes)).toBe(true);
    }
    await sendMissing(house, told);
    const { fileId } = await house.uploads.view(told.uploadId ?? '', OWNER);
    expect((await bytesOf(house, told.fileId))?.equals(whole)).toBe(true);
    expect((await bytesOf(house, fileId ?? ''))?.equals(begun)).toBe(true);
  }
  await removeAll(house);
}

/** Deletes all files. Each has its bytes, also one of which the client has not heard. */
async function removeAll({ files, parts, ...house }: House): Promise<void> {
  const page = await files.list({ owner: OWNER, limit: 100, sort: 'uploaded', descending: false });
  for (const { id } of page.files) {
    const bytes = await bytesOf({ files, parts, ...house }, id);
    expect([whole, begun].some((known) => bytes?.equals(known))).toBe(true);
    await createFileActions(parts).remove(id, OWNER);
  }
}
