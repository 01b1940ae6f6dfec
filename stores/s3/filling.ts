/**
 * How the bytes of one request fill parts. Nothing here waits or calls: `write.ts` takes each step, and says what
 * happens.
 *
 * | what happens        | no part is open                  | a part is open                                  |
 * |---------------------|----------------------------------|-------------------------------------------------|
 * | bytes wait          | open the part of the next byte   | fill it                                         |
 * | it is whole         | -                                | send it: as the whole object, or as one of many |
 * | a flush is asked    | rest                             | store its tail; it stays open                   |
 * | its memory is asked | rest                             | store its tail, close it                        |
 * | the source has ended | rest                            | store its tail, close it                        |
 *
 * How the source ended makes no difference: what arrived is kept, also before a request that broke, was told to stop,
 * or had too much. After a step that failed there is no other.
 */
import { type PartPlace, type PartSizes, placeOf } from './part-sizes.ts';

export interface Filling {
  /** Of the upload; null: not known yet. */
  readonly size: number | null;
  readonly sizes: PartSizes;
  /** Bytes taken from the beginning of the upload: committed ones, those of parts on their way, and the open part's. */
  readonly taken: number;
  /** The part that is being filled; it ends with the upload at the latest. */
  readonly open: PartPlace | null;
  /** A multipart upload was begun, or is about to be. */
  readonly isMultipart: boolean;
}

export type Happening =
  /** So many bytes wait to be taken; it may be none. */
  | { readonly kind: 'bytes'; readonly waiting: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'memory' }
  | { readonly kind: 'end' };

export type Step =
  /** `readsBack`: its first bytes were committed before, and come from the tail. `isOneOfMany`: so much is known by now. */
  | { readonly kind: 'open'; readonly place: PartPlace; readonly readsBack: boolean; readonly isOneOfMany: boolean }
  | { readonly kind: 'fill'; readonly bytes: number }
  | { readonly kind: 'send'; readonly as: 'object' | 'part' }
  | { readonly kind: 'storeTail'; readonly closes: boolean }
  /** No part can have the next byte. */
  | { readonly kind: 'refuse' }
  | { readonly kind: 'rest' };

const REST: Step = { kind: 'rest' };

/** What is to be done about what happens. */
export function nextStep(filling: Filling, happening: Happening): Step {
  const { open, taken } = filling;
  switch (happening.kind) {
    case 'bytes':
      if (open && taken === open.end) return { kind: 'send', as: isWholeUpload(filling, open) ? 'object' : 'part' };
      if (happening.waiting === 0) return REST;
      return open ? { kind: 'fill', bytes: Math.min(happening.waiting, open.end - taken) } : stepToOpen(filling);
    case 'flush':
      return open ? { kind: 'storeTail', closes: false } : REST;
    case 'memory':
    case 'end':
      return open ? { kind: 'storeTail', closes: true } : REST;
  }
}

function stepToOpen({ size, sizes, taken }: Filling): Step {
  const place = placeOf(sizes, taken);
  if (!place) return { kind: 'refuse' };
  const end = size === null ? place.end : Math.min(place.end, size);
  return {
    kind: 'open',
    place: { ...place, end },
    readsBack: taken > place.start,
    isOneOfMany: size !== null && size > place.end,
  };
}

function isWholeUpload({ size, isMultipart }: Filling, { start, end }: PartPlace): boolean {
  return start === 0 && end === size && !isMultipart;
}

/** Where it stands once a step was taken. */
export function afterStep(filling: Filling, step: Step): Filling {
  switch (step.kind) {
    case 'open':
      return { ...filling, open: step.place, isMultipart: filling.isMultipart || step.isOneOfMany };
    case 'fill':
      return { ...filling, taken: filling.taken + step.bytes };
    case 'send':
      return { ...filling, open: null, isMultipart: filling.isMultipart || step.as === 'part' };
    case 'storeTail':
      return step.closes ? { ...filling, open: null } : filling;
    case 'refuse':
    case 'rest':
      return filling;
  }
}
