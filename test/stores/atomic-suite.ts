/** What every store must do with a write that has a verification: commit it as a whole, or not at all; part of the contract suite. */
import { PassThrough, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import type { DigestPool } from '../../stores/digests/digests.ts';
import type { Commit, Flush, Store, StoredUpload, Verification, WriteOptions, Written } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const KIB = 1024;

/**
 * Three parts of a bucket; in a folder, enough bytes for a sync before the end. The write in the middle begins within the
 * first part and ends within the last one.
 */
function sizesFor({ place }: Store): { size: number; from: number; to: number } {
  const unit = place === null ? 50 * KIB : place.kind === 'folder' ? 512 * KIB : 1024 * KIB;
  return { size: 18 * unit, from: 3 * unit, to: 17 * unit };
}

/** More than any test sends. */
const MOST = 18 * KIB * KIB;

interface Writing {
  store: Store;
  digests: DigestPool;
  reopen: () => Promise<Store>;
  newUpload: (size: number | null) => StoredUpload;
  write: (
    upload: StoredUpload,
    source: Readable,
    options?: Partial<WriteOptions>,
  ) => Promise<{ upload: StoredUpload; commits: Commit[]; written: Written }>;
}

class Refused extends Error {}

/** Passes for these bytes. */
function verificationOf(expected: Buffer): Verification {
  const chunks: Uint8Array[] = [];
  return {
    update: (chunk) => void chunks.push(chunk),
    verify: () => {
      if (!Buffer.concat(chunks).equals(expected)) throw new Refused();
    },
  };
}

function sourceOf(...chunks: Buffer[]): PassThrough {
  const source = new PassThrough({ highWaterMark: MOST });
  for (const chunk of chunks) source.write(chunk);
  source.end();
  return source;
}

/** A write that arrives in two pieces, and its commits. */
function begin({ write }: Writing, upload: StoredUpload, sent: Buffer, expected: Buffer, maxBytes = MOST) {
  const source = new PassThrough({ highWaterMark: MOST });
  const commits: Commit[] = [];
  let done: ReturnType<Writing['write']> | undefined;
  const flush = new Promise<Flush>((resolve) => {
    done = write(upload, source, {
      maxBytes,
      onReading: resolve,
      verification: verificationOf(expected),
      commit: async (commit) => void commits.push(commit),
    });
    done.catch(() => undefined);
  });
  source.write(sent.subarray(0, sent.length / 2));
  return {
    source,
    flush,
    rest: sent.subarray(sent.length / 2),
    /** The upload as its row is now. */
    now: (): StoredUpload => ({ ...upload, ...commits.at(-1) }),
    written: async () => done,
  };
}

export function testAtomicWrites(current: () => Writing): void {
  const many = makeBytes(MOST, 47);
  const others = makeBytes(MOST, 48);

  /** An upload with committed bytes, from which an atomic write begins; and the bytes that it is to have. */
  async function begun(kind: 'new' | 'begun') {
    const { store, newUpload, write } = current();
    const { size, from, to } = sizesFor(store);
    const bytes = many.subarray(0, size);
    const upload = newUpload(size);
    if (kind === 'new') return { upload, bytes, from: 0, to };
    return { upload: (await write(upload, sourceOf(bytes.subarray(0, from)))).upload, bytes, from, to };
  }

  /** The upload can be continued from its offset, and becomes the right content; then nothing of it is left. */
  async function finish(upload: StoredUpload): Promise<void> {
    const { store, digests, write } = current();
    const bytes = many.subarray(0, upload.size ?? 0);
    const recovered = await store.recoverUpload(upload, digests, new AbortController().signal);
    expect({ ...upload, ...recovered }.offset).toBe(upload.offset);
    const done = await write({ ...upload, ...recovered }, sourceOf(bytes.subarray(upload.offset)));
    expect(done.written.digests).toEqual({ md5: md5(bytes) });
    const key = store.keyFor(done.upload, { md5: md5(bytes), variant: 0 });
    await store.finalize(done.upload, key);
    expect((await buffer(await store.readContent(key))).equals(bytes)).toBe(true);
    await store.discardUpload(done.upload, 'keep');
    await store.removeContent(key);
    const left: string[] = [];
    for await (const id of store.listUnfinished()) left.push(id);
    expect(left).not.toContain(upload.id);
  }

  test('commits an atomic write at once, and only when it is verified', async () => {
    const { upload, bytes, from, to } = await begun('begun');
    const part = bytes.subarray(from, to);
    const { source, flush, rest, now, written } = begin(current(), upload, part, part);
    expect(await (await flush)()).toBe('committed');
    expect(now().offset).toBe(from);
    source.end(rest);
    const done = await written();
    expect(done?.commits.map(({ offset }) => offset).filter((offset) => offset > from)).toEqual([to]);
    expect(done?.written).toMatchObject({ offset: to, interrupted: undefined });
    if (done) await finish(done.upload);
  });

  test('completes an upload by one atomic write', async () => {
    const { upload, bytes } = await begun('new');
    const done = await current().write(upload, sourceOf(bytes), {
      maxBytes: bytes.length,
      verification: verificationOf(bytes),
    });
    expect(done.written.digests).toEqual({ md5: md5(bytes) });
    expect(done.commits.filter(({ offset }) => offset > 0)).toHaveLength(1);
    await finish(done.upload);
  });

  describe.each(['new', 'begun'] as const)('of an upload that is %s', (kind) => {
    test('keeps nothing of an atomic write that is refused', async () => {
      const { upload, bytes, from } = await begun(kind);
      const sent = others.subarray(from, bytes.length);
      const { source, rest, now, written } = begin(current(), upload, sent, bytes.subarray(from));
      source.end(rest);
      await expect(written()).rejects.toThrow(Refused);
      expect(now().offset).toBe(from);
      await finish(now());
    });

    test('keeps nothing of an atomic write whose source breaks', async () => {
      const { upload, bytes, from, to } = await begun(kind);
      const sent = bytes.subarray(from, to);
      const { source, flush, rest, now, written } = begin(current(), upload, sent, sent);
      source.write(rest.subarray(1));
      expect(await (await flush)()).toBe('committed');
      source.destroy(new Error('gone'));
      const done = await written();
      expect(done?.written).toMatchObject({ offset: from, digests: null, interrupted: new Error('gone') });
      expect(now().offset).toBe(from);
      await finish(now());
    });

    test('recovers nothing of an atomic write whose process died', async () => {
      const { upload, bytes, from, to } = await begun(kind);
      const sent = bytes.subarray(from, to);
      const { source, flush, rest, now, written } = begin(current(), upload, sent, sent);
      source.write(rest.subarray(1));
      // All that has come is written, and the process does not live on.
      expect(await (await flush)()).toBe('committed');
      const row = now();
      expect(row.offset).toBe(from);
      const reopened = await current().reopen();
      const found = await reopened.recoverUpload(row, current().digests, new AbortController().signal);
      await reopened.close();
      expect({ ...row, ...found }.offset).toBe(from);
      source.destroy();
      await written();
      await finish({ ...row, ...found });
    });
  });

  test('keeps nothing of an atomic write that has too many bytes, or is stopped', async () => {
    const { upload, bytes, from, to } = await begun('begun');
    const sent = bytes.subarray(from, to);
    const { source, rest, now, written } = begin(current(), upload, sent, sent, sent.length - 1);
    source.end(rest);
    await expect(written()).rejects.toMatchObject({ code: 'overflow' });
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    const stopped = await current().write(now(), sourceOf(sent), {
      signal: stop.signal,
      verification: verificationOf(sent),
    });
    expect(stopped.written).toMatchObject({ offset: from, interrupted: new Error('stopped') });
    await finish(stopped.upload);
  });
}
