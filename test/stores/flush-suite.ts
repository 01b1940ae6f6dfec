/** What every store must do when it is asked to commit what has come; part of the contract suite. */
import { PassThrough, type Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Commit, Flush, Store, StoredUpload, WriteOptions, Written } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

const MIB = 1024 * 1024;

interface Flushing {
  store: Store;
  newUpload: (size: number | null) => StoredUpload;
  write: (
    upload: StoredUpload,
    source: Readable,
    options: Partial<WriteOptions>,
  ) => Promise<{ upload: StoredUpload; commits: Commit[]; written: Written }>;
}

/** A source that has said where to ask, and what was committed of it. */
function begin({ newUpload, write }: Flushing, size: number, maxBytes = size) {
  const source = new PassThrough({ highWaterMark: 16 * MIB });
  const commits: Commit[] = [];
  let writing: ReturnType<Flushing['write']> | undefined;
  const flush = new Promise<Flush>((resolve) => {
    writing = write(newUpload(size), source, {
      maxBytes,
      onReading: resolve,
      commit: async (commit) => void commits.push(commit),
    });
  });
  return { source, commits, flush, written: async () => writing };
}

export function testFlush(current: () => Flushing): void {
  test('commits on request what has come, and keeps writing', async () => {
    const size = 9 * MIB;
    const bytes = makeBytes(size, 12);
    const { source, commits, flush, written } = begin(current(), size);
    const ask = await flush;
    for (const [from, to] of [
      [0, 1000],
      [1000, 300_000],
      [300_000, size - 1000],
    ]) {
      source.write(bytes.subarray(from, to));
      expect(await ask()).toBe('committed');
      expect(commits.at(-1)?.offset).toBe(to);
      const before = commits.length;
      // Nothing has come since.
      expect(await Promise.all([ask(), ask()])).toEqual(['committed', 'committed']);
      expect(commits.length).toBe(before);
    }
    source.end(bytes.subarray(size - 1000));
    const done = await written();
    expect(done?.written.digests).toEqual({ md5: md5(bytes) });
    await expectStored(current().store, done?.upload, bytes);
  });

  test('resumes later from what it was asked to commit', async () => {
    const bytes = makeBytes(MIB, 13);
    const { source, commits, flush, written } = begin(current(), MIB);
    source.write(bytes.subarray(0, 400_000));
    await (
      await flush
    )();
    const told = commits.at(-1);
    source.destroy(new Error('gone'));
    const broken = await written();
    expect(broken?.upload.offset).toBe(400_000);
    expect(told?.offset).toBe(400_000);
    if (!broken) throw new Error('the write did not end');
    const rest = new PassThrough();
    rest.end(bytes.subarray(400_000));
    const done = await current().write({ ...broken.upload, ...told }, rest, {});
    expect(done.written.digests).toEqual({ md5: md5(bytes) });
    await current().store.discardUpload(done.upload, 'remove');
  });

  test('says that it ends when it does, and holds back what may be one byte too many', async () => {
    const bytes = makeBytes(1000, 14);
    const { source, commits, flush, written } = begin(current(), 1000);
    const ask = await flush;
    source.write(bytes.subarray(0, 900));
    expect(await ask()).toBe('committed');
    source.write(bytes.subarray(900));
    expect(await ask()).toBe('committed');
    expect(commits.at(-1)?.offset).toBe(900);
    source.end();
    const done = await written();
    expect(done?.written.offset).toBe(1000);
    expect(await ask()).toBe('ending');
    if (done) await current().store.discardUpload(done.upload, 'remove');
  });
}

async function expectStored(store: Store, upload: StoredUpload | undefined, bytes: Buffer): Promise<void> {
  if (!upload) throw new Error('nothing was written');
  const key = store.keyFor(upload, { md5: md5(bytes), variant: 0 });
  await store.finalize(upload, key);
  expect(await store.contentSize(key)).toBe(bytes.length);
  await store.discardUpload(upload, 'keep');
  await store.removeContent(key);
}
