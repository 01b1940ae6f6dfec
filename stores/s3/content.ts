/** Reads an object to its end, even where the connection to the bucket breaks. */
import { finished, Readable } from 'node:stream';
import { type ByteRange, StoreError } from '../store.ts';
import type { Timer } from '../surroundings.ts';
import { codeOf, toStoreError } from './errors.ts';
import type { Objects } from './objects.ts';
import type { OpenObject } from './reading.ts';
import { backoffMs } from './retry.ts';

/** How long the bucket may send nothing while the stream waits for it. */
const SILENCE_MS = 30_000;
/** How many breaks in a row, each after less than `LEAST_PROGRESS_BYTES`, a download survives. */
const MOST_BREAKS = 5;
const LEAST_PROGRESS_BYTES = 1024 * 1024;

/** What to read, and how. */
export interface ContentOptions {
  range?: ByteRange | undefined;
  /** Aborts the opening; an open stream is stopped by destroying it. */
  signal?: AbortSignal | undefined;
  silenceMs?: number;
  /** The size of the whole object, where the caller knows it. */
  size?: number | undefined;
}

/**
 * Opens an object, or a range of it. When the connection breaks, or the bucket goes silent, the stream requests the rest: the
 * object under a key never changes.
 *
 * @throws StoreError; so does the stream after too many breaks.
 */
export async function openContent(
  objects: Reading,
  key: string,
  { range, signal, silenceMs = SILENCE_MS, size }: ContentOptions = {},
): Promise<Readable> {
  const first = await getSized(objects, key, { range, signal, size });
  return new ContentStream(objects, key, { first, start: range?.start ?? 0, silenceMs });
}

/** Opens an object. @throws StoreError `missing`, also where its size is not `size`. */
async function getSized(
  objects: Reading,
  key: string,
  { range, signal, size }: Pick<ContentOptions, 'range' | 'signal' | 'size'>,
): Promise<OpenObject> {
  let first;
  try {
    first = await objects.get(key, range, signal);
  } catch (error) {
    // The range lies within `size`: the object is shorter.
    const isShort =
      range && size !== undefined && error instanceof StoreError && codeOf(error.cause) === 'InvalidRange';
    if (isShort) throw new StoreError('missing', `${key} has fewer than ${size} bytes`, error);
    throw error;
  }
  if (size === undefined || first.total === size) return first;
  first.body.destroy();
  throw new StoreError('missing', `${key} has ${first.total} bytes, not ${size}`);
}

/** What a stream needs of the bucket. */
type Reading = Pick<Objects, 'get' | 'surroundings'>;

class ContentStream extends Readable {
  readonly #objects: Reading;
  readonly #key: string;
  readonly #etag: string;
  readonly #silenceMs: number;
  /** The offset in the object of the next byte; `#end` is that after the last one. */
  #at: number;
  readonly #end: number;
  /** The body that is read; undefined between a break and the next answer. */
  #body: Readable | undefined;
  #isOpening = false;
  #isWanted = false;
  #breaks = 0;
  #lastBreakAt: number;
  #silence: Timer | undefined;
  readonly #gone = new AbortController();

  constructor(
    objects: Reading,
    key: string,
    { first, start, silenceMs }: { first: OpenObject; start: number; silenceMs: number },
  ) {
    super();
    this.#objects = objects;
    this.#key = key;
    this.#etag = first.etag;
    this.#silenceMs = silenceMs;
    this.#at = start;
    this.#lastBreakAt = start;
    this.#end = start + first.length;
    this.#attach(first.body);
  }

  override _read(): void {
    this.#isWanted = true;
    if (this.#at === this.#end) this.#complete();
    else if (this.#body) this.#flow(this.#body);
    else if (!this.#isOpening) void this.#resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#objects.surroundings.clearTimeout(this.#silence);
    this.#gone.abort();
    // Forgets the body first, so that its end does not count as a break.
    const body = this.#body;
    this.#body = undefined;
    body?.destroy();
    done(error);
  }

  #attach(body: Readable): void {
    this.#body = body;
    // It flows only while the reader of this stream wants bytes.
    body.pause();
    body.on('data', (chunk: Uint8Array) => {
      if (body === this.#body) this.#take(chunk, body);
    });
    finished(body, { writable: false }, (error) => {
      if (body === this.#body) this.#broke(error ?? new Error('the answer ended early'));
    });
  }

  #flow(body: Readable): void {
    this.#objects.surroundings.clearTimeout(this.#silence);
    this.#silence = this.#objects.surroundings.setTimeout(() => {
      body.destroy(Object.assign(new Error('the bucket went silent'), { code: 'ETIMEDOUT' }));
    }, this.#silenceMs);
    body.resume();
  }

  #take(chunk: Uint8Array, body: Readable): void {
    this.#at += chunk.length;
    this.#silence?.refresh();
    this.#isWanted = this.push(chunk);
    if (this.#at === this.#end) {
      this.#complete();
    } else if (!this.#isWanted) {
      this.#objects.surroundings.clearTimeout(this.#silence);
      body.pause();
    }
  }

  #complete(): void {
    this.#objects.surroundings.clearTimeout(this.#silence);
    // Reads the body to its end, so that the connection can be reused.
    this.#body?.resume();
    this.#body = undefined;
    this.push(null);
  }

  #broke(error: Error): void {
    this.#objects.surroundings.clearTimeout(this.#silence);
    this.#body = undefined;
    if (this.#at === this.#end) return;
    const isProgress = this.#at - this.#lastBreakAt >= LEAST_PROGRESS_BYTES;
    this.#breaks = isProgress ? 1 : this.#breaks + 1;
    this.#lastBreakAt = this.#at;
    if (this.#breaks > MOST_BREAKS) this.destroy(toStoreError(error, `reading ${this.#key}`));
    else if (this.#isWanted) void this.#resume();
  }

  /** Never rejects. */
  async #resume(): Promise<void> {
    this.#isOpening = true;
    try {
      const { signal } = this.#gone;
      const { surroundings } = this.#objects;
      if (this.#breaks > 1) await surroundings.wait(backoffMs(this.#breaks - 1, surroundings), { signal });
      const range = { start: this.#at, end: this.#end - 1 };
      const { body, length, etag } = await this.#objects.get(this.#key, range, signal);
      this.#isOpening = false;
      if (this.destroyed) {
        body.destroy();
        return;
      }
      this.#attach(body);
      if (length !== this.#end - this.#at || etag !== this.#etag) {
        throw new StoreError('failed', `${this.#key} is another object than it was`);
      } else if (this.#isWanted) this.#flow(body);
    } catch (error) {
      // This has no effect on a stream that was destroyed meanwhile.
      this.destroy(toStoreError(error, `reading ${this.#key}`));
    }
  }
}
