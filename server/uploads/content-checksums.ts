/**
 * CRC-32 of contents, which archives need beside their bytes. The catalog does not have them: they are computed while the bytes
 * are read, together with the MD5, and count only where that is the content's. So bytes that rot never get a CRC that fits them.
 */
import { crc32 } from 'node:zlib';
import type { ContentRecord } from '../catalog/catalog.ts';
import type { Files } from './contract.ts';
import { TidemarkError } from './errors.ts';
import { createKeyedMutex } from './keyed-mutex.ts';
import type { Parts } from './parts.ts';
import { contentViewOf } from './views.ts';

export interface ContentChecksums {
  /**
   * All bytes of a content, in chunks. Ends with `content_damaged`, after the last chunk, where they do not have its MD5.
   *
   * @param signal - aborted when the asker is gone.
   */
  verified(content: ContentRecord, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /**
   * The CRC-32 of a content. Where it is not remembered, its bytes are read for it. A reading that has begun goes on after its
   * asker has left: one who resumes a download asks for it again, and would otherwise wait from the beginning each time.
   *
   * @throws `content_damaged`, `not_found`; the reason of `signal`.
   */
  of(content: ContentRecord, signal: AbortSignal): Promise<number>;
}

/** How many are remembered: a few megabytes. */
const REMEMBERED = 100_000;
/** How many contents are read at a time only for their CRC. */
const READINGS = 2;

interface Reading {
  result: Promise<number>;
  /** How many wait for it; where none does any more, it does not begin. */
  waiting: number;
}

export function createContentChecksums(parts: Parts, files: Pick<Files, 'open'>): ContentChecksums {
  /** By the content's id, as bytes of a content never change. The first is the one that was noted first. */
  const known = new Map<number, number>();
  const readings = new Map<number, Reading>();
  const turns = createKeyedMutex();

  function note(contentId: number, crc: number): void {
    known.set(contentId, crc);
    const [oldest] = known.keys();
    if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
  }

  async function* verified(content: ContentRecord, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { id, key, md5 } = content;
    const stream = await files.open({ content: contentViewOf(content) }, undefined, signal);
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
      note(id, crc);
    } finally {
      lane.close();
      stream.destroy();
    }
  }

  async function read(content: ContentRecord, reading: Reading): Promise<number> {
    return turns.run(String(content.id % READINGS), async () => {
      if (reading.waiting === 0) throw new Error('nobody waits for it any more');
      for await (const chunk of verified(content, parts.stopping)) {
        parts.stopping.throwIfAborted();
        void chunk;
      }
      const crc = known.get(content.id);
      if (crc === undefined) throw new Error(`the CRC of content ${content.id} was not noted`);
      return crc;
    });
  }

  function begin(content: ContentRecord): Reading {
    const reading: Reading = { result: Promise.resolve(0), waiting: 0 };
    readings.set(content.id, reading);
    reading.result = Promise.resolve()
      .then(() => read(content, reading))
      .finally(() => readings.delete(content.id));
    // Those who wait for it get the failure.
    reading.result.catch(() => undefined);
    return reading;
  }

  async function of(content: ContentRecord, signal: AbortSignal): Promise<number> {
    const crc = known.get(content.id);
    if (crc !== undefined) return crc;
    const reading = readings.get(content.id) ?? begin(content);
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
