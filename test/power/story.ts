/** What a client of a recorded service did and was told, and when. */
import { makeBytes, md5 } from '../harness/bytes.ts';

/** At a time of the recording; what begins with "-ing" was asked for then, and may have happened since. */
export type Event = { at: number } & (
  | { what: 'created' }
  | { what: 'offset'; offset: number }
  | { what: 'complete'; fileId: string }
  | { what: 'listed'; fileId: string }
  | { what: 'renaming' | 'renamed'; name: string }
  | { what: 'removing' | 'removed' }
  | { what: 'rejected' }
);

/**
 * Whether every answer waits for what it tells to be durable: a 201, a listing, a 404 after a deletion.
 * False: these are noted, and not checked.
 */
export const EVERY_ANSWER_IS_DURABLE: boolean = true;

/** One upload, or one file given without a transfer. */
export interface Story {
  /** Of the upload, once its address was told. */
  id: string | null;
  name: string;
  size: number;
  /** Stories with the same seed and size have the same bytes. */
  seed: number;
  /** With its last byte it is refused, for a wrong digest. */
  doomed: boolean;
  /** An upload that is no file of its own, or one that joins such. */
  kind?: 'partial' | 'final';
  /** Of a final: its partials, in order. */
  of?: Pick<Story, 'id' | 'size' | 'seed'>[];
  /** Each of its requests has a checksum: its offset is one of these. */
  wholes?: number[];
  events: Event[];
}

export interface Script {
  stories: Story[];
  /** Size of the log when all was done. */
  end: number;
}

const made = new Map<string, Buffer>();

type Content = Pick<Story, 'size' | 'seed' | 'of'>;

export function bytesOf({ size, seed, of }: Content): Buffer {
  if (of) return Buffer.concat(of.map(bytesOf));
  const key = `${size}-${seed}`;
  const bytes = made.get(key) ?? makeBytes(size, seed);
  made.set(key, bytes);
  return bytes;
}

const digests = new Map<string, string>();

export function md5Of(content: Content): string {
  const pieces = content.of ?? [content];
  const key = pieces.map(({ size, seed }) => `${size}-${seed}`).join('+');
  const digest = digests.get(key) ?? md5(bytesOf(content));
  digests.set(key, digest);
  return digest;
}

/** What was told before `time`; the kinds that are promises are checked by check.ts. */
export function toldBefore(story: Story, time: number): Event[] {
  return story.events.filter(({ at }) => at <= time);
}
