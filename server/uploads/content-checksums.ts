/**
 * CRC-32 of contents, which archives need beside their bytes. The catalog does not have them: they are computed while the bytes
 * are read, together with the MD5, and count only where that is the content's. So bytes that rot never get a CRC that fits them.
 * Each owner's are remembered apart: how soon an answer comes must not tell that others have the same content.
 */
import { addAbortSignal } from 'node:stream';
import { crc32 } from 'node:zlib';
import type { FileRecord } from '../catalog/catalog.ts';
import type { Files } from './contract.ts';
import { TidemarkError } from './errors.ts';
import { createKeyedMutex } from './keyed-mutex.ts';
import type { Parts } from './parts.ts';
import { contentViewOf } from './views.ts';

export interface ContentChecksums {
  /**
   * All bytes of a file's content, in chunks. Ends with `content_damaged`, after the last chunk, where they do not have its MD5.
   *
   * @param signal - aborted when the asker is gone.
   */
  verified(file: FileRecord, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /**
   * The CRC-32 of a file's content. Where it is not remembered, its bytes are read for it. A reading that has begun goes on after its
   * asker has left: one who resumes a download asks for it again, and would otherwise wait from the beginning each time.
   *
   * @throws `content_damaged`, `not_found`; the reason of `signal`.
   */
  of(file: FileRecord, signal: AbortSignal): Promise<number>;
}

/** How many are remembered: some ten megabytes. */
const REMEMBERED = 100_000;
/** How many contents are read at a time only for their CRC. */
const READINGS = 2;

interface Reading {
  result: Promise<number>;
  /** How many wait for it; where none does any more, it does not begin. */
  waiting: number;
}

/** A content of an owner. The id of a content is never given to another one. */
function keyOf({ owner, content }: FileRecord): string {
  return `${content.id} ${owner}`;
}

export function createContentChecksums(parts: Parts, files: Pick<Files, 'open'>): ContentChecksums {
  /** By `keyOf`, as bytes of a content never change. The first is the one that was noted first. */
  const known = new Map<string, number>();
  const readings = new Map<string, Reading>();
  const turns = createKeyedMutex();

  function note(file: FileRecord, crc: number): void {
    known.set(keyOf(file), crc);
    const [oldest] = known.keys();
    if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
  }

  async function* verified(file: FileRecord, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { id, key, md5 } = file.content;
    // Also where the store sends nothing any more: a stream that waits for it would be held.
    const stream = addAbortSignal(
      signal,
      await files.open({ content: contentViewOf(file.content) }, undefined, signal),
    );
    const lane = parts.digests.open(null, ['md5']);
    let crc = 0;
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        await lane.update([chunk]);
        crc = crc32(chunk, crc);
        yield chunk;
      }
      const { md5: found } = await lane.digests();
      if (found !== md5) {
        parts.log.error({ contentId: id, key, md5, found }, 'bytes of a content are damaged');
        throw new TidemarkError('content_damaged');
      }
      note(file, crc);
    } finally {
      lane.close();
      stream.destroy();
    }
  }

  async function read(file: FileRecord, reading: Reading): Promise<number> {
    return turns.run(String(file.content.id % READINGS), async () => {
      if (reading.waiting === 0) throw new Error('nobody waits for it any more');
      for await (const chunk of verified(file, parts.stopping)) {
        parts.stopping.throwIfAborted();
        void chunk;
      }
      const crc = known.get(keyOf(file));
      if (crc === undefined) throw new Error(`the CRC of content ${file.content.id} was not noted`);
      return crc;
    });
  }

  function begin(file: FileRecord): Reading {
    const key = keyOf(file);
    const reading: Reading = { result: Promise.resolve(0), waiting: 0 };
    readings.set(key, reading);
    reading.result = Promise.resolve()
      .then(() => read(file, reading))
      .finally(() => readings.delete(key));
    // Those who wait for it get the failure.
    reading.result.catch(() => undefined);
    return reading;
  }

  async function of(file: FileRecord, signal: AbortSignal): Promise<number> {
    const key = keyOf(file);
    const crc = known.get(key);
    if (crc !== undefined) return crc;
    const reading = readings.get(key) ?? begin(file);
    reading.waiting++;
    try {
      return await unlessAborted(reading.result, signal);
    } finally {
      reading.waiting--;
    }
  }

  return { verified, of };
}

/** Waits for a promise. @throws the reason of `signal`, as soon as it is aborted. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
