/** Joining other uploads, of the contract that every store passes. */
import { PART } from '../harness/part.ts';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { Commit, JoinOptions, Store, StoredUpload, WriteOptions, Written } from '../../stores/store.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';

/** What the contract's suite lends. */
export interface JoinSuite {
  store: () => Store;
  newUpload: (size: number | null) => StoredUpload;
  /** Writes an upload; its row then. */
  write: (upload: StoredUpload, source: Readable, options?: Partial<WriteOptions>) => Promise<{ upload: StoredUpload }>;
  /** Joins, and keeps what is committed. */
  join: (
    upload: StoredUpload,
    partials: readonly StoredUpload[],
    options?: Partial<JoinOptions>,
  ) => Promise<{ upload: StoredUpload; commits: Commit[]; written: Written }>;
  /** Its row as after the death of the process, recovered. */
  recovered: (upload: StoredUpload) => Promise<StoredUpload>;
}

/** Pieces are made of eighths of a part. */
const EIGHTH = PART / 8;

export function testJoining({ store, newUpload, write, join, recovered }: JoinSuite): void {
  async function partialOf(bytes: Buffer): Promise<StoredUpload> {
    const upload = newUpload(bytes.length);
    await store().createUpload(upload);
    return (await write(upload, Readable.from(bytes.length > 0 ? [bytes] : []))).upload;
  }

  async function begin(...pieces: Buffer[]): Promise<StoredUpload> {
    const upload = newUpload(pieces.reduce((sum, piece) => sum + piece.length, 0));
    await store().createUpload(upload);
    return upload;
  }

  async function published(upload: StoredUpload, bytes: Buffer): Promise<Buffer> {
    const key = store().keyFor(upload, { md5: md5(bytes), variant: 0 });
    await store().finalize(upload, key);
    await store().discardUpload(upload, 'keep');
    const found = await buffer(await store().readContent(key, undefined, undefined, bytes.length));
    await store().removeContent(key);
    return found;
  }

  test('joins other uploads in order, also one twice, an empty one, and for several uploads', async () => {
    const pieces = [makeBytes(6 * EIGHTH + 1, 51), makeBytes(0), makeBytes(300, 52), makeBytes(5 * EIGHTH, 53)];
    const partials: StoredUpload[] = [];
    for (const piece of pieces) partials.push(await partialOf(piece));
    for (const order of [[0, 1, 2, 3], [0, 0], [1, 2, 0], [2], [1]]) {
      const chosen = order.map((index) => pieces[index] ?? Buffer.alloc(0));
      const bytes = Buffer.concat(chosen);
      const joined = await join(
        await begin(...chosen),
        order.map((index) => partials[index] as StoredUpload),
      );
      expect(joined.written).toMatchObject({ offset: bytes.length, digests: { md5: md5(bytes) } });
      expect(joined.written.interrupted).toBeUndefined();
      expect((await published(joined.upload, bytes)).equals(bytes)).toBe(true);
    }
    for (const partial of partials) await store().discardUpload(partial, 'remove');
  });

  test('joins two uploads at once that share their first bytes', async () => {
    const [a, b, c] = [makeBytes(5 * EIGHTH, 54), makeBytes(6 * EIGHTH, 55), makeBytes(6 * EIGHTH, 56)];
    const [first, second, third] = [await partialOf(a), await partialOf(b), await partialOf(c)];
    const joined = await Promise.all([
      join(await begin(a, b), [first, second]),
      join(await begin(a, c), [first, third]),
    ]);
    for (const [index, bytes] of [Buffer.concat([a, b]), Buffer.concat([a, c])].entries()) {
      const one = joined[index];
      expect(one?.written.digests).toEqual({ md5: md5(bytes) });
      if (one) expect((await published(one.upload, bytes)).equals(bytes)).toBe(true);
    }
    for (const partial of [first, second, third]) await store().discardUpload(partial, 'remove');
  });

  test('what is joined is independent of the others: they may go, and it may', async () => {
    const [a, b] = [makeBytes(5 * EIGHTH, 57), makeBytes(EIGHTH, 58)];
    const [first, second] = [await partialOf(a), await partialOf(b)];
    const given = await join(await begin(a, b), [first, second]);
    await store().discardUpload(given.upload, 'remove');
    const again = await join(await begin(a, b, a), [first, second, first]);
    for (const partial of [first, second]) await store().discardUpload(partial, 'remove');
    const bytes = Buffer.concat([a, b, a]);
    expect((await published(again.upload, bytes)).equals(bytes)).toBe(true);
  });

  test('a write to one that has all its bytes changes none of what is joined meanwhile, however it ends', async () => {
    const [a, b] = [makeBytes(EIGHTH, 64), makeBytes(EIGHTH, 65)];
    const [first, second] = [await partialOf(a), await partialOf(b)];
    const source = new PassThrough();
    let writing: Promise<unknown> | undefined;
    await new Promise<void>((resolve) => {
      writing = write(first, source, {
        maxBytes: 0,
        verification: { update: () => undefined, verify: () => undefined },
        onReading: () => resolve(),
      });
    });
    const { upload } = await join(await begin(a, b), [first, second]);
    source.destroy();
    await writing;
    const bytes = Buffer.concat([a, b]);
    expect((await published(upload, bytes)).equals(bytes)).toBe(true);
    for (const partial of [first, second]) await store().discardUpload(partial, 'remove');
  });

  test('what is open delivers its own bytes, though it is removed and the same partials are joined anew', async () => {
    const [a, b, c] = [makeBytes(EIGHTH, 66), makeBytes(EIGHTH, 67), makeBytes(EIGHTH, 68)];
    const [first, second, third] = [await partialOf(a), await partialOf(b), await partialOf(c)];
    for (const [bytes, partials, pieces] of [
      [Buffer.concat([a, b]), [first, second], [a, b]],
      [a, [first], [a]],
    ] as const) {
      const { upload } = await join(await begin(...pieces), partials);
      const key = store().keyFor(upload, { md5: md5(bytes), variant: 0 });
      await store().finalize(upload, key);
      await store().discardUpload(upload, 'keep');
      const open = await store().readContent(key, undefined, undefined, bytes.length);
      await store().removeContent(key);
      const again = await join(await begin(a, c), [first, third]);
      const found = await buffer(open).catch(() => undefined);
      expect(found === undefined || found.equals(bytes)).toBe(true);
      const other = Buffer.concat([a, c]);
      expect((await published(again.upload, other)).equals(other)).toBe(true);
    }
    for (const partial of [first, second, third]) await store().discardUpload(partial, 'remove');
  });

  test('a joining that was interrupted continues where it stopped, also in another process', async () => {
    const [a, b, c] = [makeBytes(6 * EIGHTH, 59), makeBytes(16 * EIGHTH, 60), makeBytes(7 * EIGHTH, 61)];
    const partials = [await partialOf(a), await partialOf(b), await partialOf(c)];
    const stopped = new AbortController();
    let upload = await begin(a, b, c);
    const first = await join(upload, partials, {
      signal: stopped.signal,
      commit: async ({ offset }) => {
        if (offset > 0) stopped.abort(new Error('stopped'));
      },
    });
    upload = await recovered(first.upload);
    expect(upload.offset).toBeGreaterThanOrEqual(first.upload.offset);
    const rest = upload.offset === upload.size ? first : await join(upload, partials);
    const bytes = Buffer.concat([a, b, c]);
    expect(rest.written.digests).toEqual({ md5: md5(bytes) });
    expect((await published(rest.upload, bytes)).equals(bytes)).toBe(true);
    for (const partial of partials) await store().discardUpload(partial, 'remove');
  });

  test('the bytes of one that are gone are missed, and end no commit before', async () => {
    const [a, b] = [makeBytes(5 * EIGHTH, 62), makeBytes(5 * EIGHTH, 63)];
    const [first, second] = [await partialOf(a), await partialOf(b)];
    await store().discardUpload(second, 'remove');
    const outcome = await join(await begin(a, b), [first, second]).then(
      ({ written }) => written.interrupted,
      (error: unknown) => error,
    );
    expect(outcome).toMatchObject({ code: 'missing' });
    await store().discardUpload(first, 'remove');
  });
}
