/** The double's bucket: keeps bytes in files of a temporary folder, and their index in memory. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Stored bytes: a whole object, or a part of one. */
export interface Blob {
  path: string;
  size: number;
  /** Hex, lower case. */
  md5: string;
  sha256: string | undefined;
}

/** The headers that are stored with an object, and sent with it. */
export type ObjectHeaders = Record<string, string>;

export interface StoredObject {
  key: string;
  size: number;
  /** Without quotes. */
  etag: string;
  lastModified: Date;
  headers: ObjectHeaders;
  blobs: readonly Blob[];
}

export interface StoredPart {
  number: number;
  /** Without quotes. */
  etag: string;
  lastModified: Date;
  blob: Blob;
}

export interface OpenUpload {
  uploadId: string;
  key: string;
  initiated: Date;
  headers: ObjectHeaders;
  parts: Map<number, StoredPart>;
}

export interface Storage {
  readonly objects: ReadonlyMap<string, StoredObject>;
  readonly uploads: Map<string, OpenUpload>;
  /** Writes a stream to a file of its own. Removes the file when the stream fails. */
  receive(body: Readable, options: { sha256: boolean }): Promise<Blob>;
  /** Makes an object visible, and drops the former object of that key. */
  put(object: Omit<StoredObject, 'size' | 'lastModified'>): StoredObject;
  delete(key: string): void;
  /** Removes bytes that nothing refers to any more. */
  discard(blobs: Iterable<Blob>): void;
  /** Reads bytes `from` to `to`, both included. A reader is not affected when the key is overwritten or deleted. */
  read(object: StoredObject, from: number, to: number): Readable;
  close(): Promise<void>;
}

export async function openStorage(): Promise<Storage> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-oss-'));
  const objects = new Map<string, StoredObject>();
  const readers = new Map<Blob, number>();
  const doomed = new Set<Blob>();
  const removals = new Set<Promise<void>>();
  const underWay = new Set<Promise<Blob>>();

  function remove(path: string): void {
    const removal = rm(path, { force: true }).finally(() => removals.delete(removal));
    removals.add(removal);
  }

  function discard(blobs: Iterable<Blob>): void {
    for (const blob of blobs) {
      if (readers.has(blob)) doomed.add(blob);
      else remove(blob.path);
    }
  }

  function deleteObject(key: string): void {
    const object = objects.get(key);
    objects.delete(key);
    if (object) discard(object.blobs);
  }

  function letGo(blob: Blob): void {
    const left = (readers.get(blob) ?? 0) - 1;
    if (left > 0) readers.set(blob, left);
    else {
      readers.delete(blob);
      if (doomed.delete(blob)) remove(blob.path);
    }
  }

  return {
    objects,
    uploads: new Map(),
    receive: (body, options) => {
      const receiving = writeBlob(join(folder, randomBytes(12).toString('hex')), body, options);
      underWay.add(receiving);
      return receiving.finally(() => underWay.delete(receiving));
    },
    put: (given) => {
      deleteObject(given.key);
      const size = given.blobs.reduce((sum, blob) => sum + blob.size, 0);
      const object = { ...given, size, lastModified: new Date() };
      objects.set(object.key, object);
      return object;
    },
    delete: deleteObject,
    discard,
    read: (object, from, to) => {
      for (const blob of object.blobs) readers.set(blob, (readers.get(blob) ?? 0) + 1);
      const stream = Readable.from(readBlobs(object.blobs, from, to), { objectMode: false });
      stream.once('close', () => object.blobs.forEach(letGo));
      return stream;
    },
    close: async () => {
      // Files that are still being written would create the folder again.
      await Promise.allSettled([...removals, ...underWay]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeBlob(path: string, body: Readable, options: { sha256: boolean }): Promise<Blob> {
  const md5 = createHash('md5');
  const sha256 = options.sha256 ? createHash('sha256') : undefined;
  let size = 0;
  try {
    await pipeline(
      body,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          size += chunk.length;
          md5.update(chunk);
          sha256?.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(path, { flags: 'wx' }),
    );
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  return { path, size, md5: md5.digest('hex'), sha256: sha256?.digest('hex') };
}

async function* readBlobs(blobs: readonly Blob[], from: number, to: number): AsyncGenerator<Buffer> {
  let start = 0;
  for (const blob of blobs) {
    const end = start + blob.size - 1;
    if (blob.size > 0 && from <= end && to >= start) {
      yield* createReadStream(blob.path, {
        start: Math.max(from - start, 0),
        end: Math.min(to, end) - start,
      }) as AsyncIterable<Buffer>;
    }
    start += blob.size;
  }
}
