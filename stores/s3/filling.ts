/**
 * How the bytes of one request fill parts: pure functions. `write.ts` reports what happens, and takes the steps.
 *
 * | what happens        | no part is open                  | a part is open                                  |
 * |---------------------|----------------------------------|-------------------------------------------------|
 * | bytes wait          | open the part of the next byte   | fill it                                         |
 * | the part is full    | -                                | send it: as the whole object, or as one of many |
 * | a flush is requested | rest                            | store its tail; it stays open                   |
 * | its memory is needed | rest                            | store its tail, close it                        |
 * | the source has ended | rest                            | store its tail, close it                        |
 *
 * How the source ended makes no difference: what arrived is kept, also where the request broke, was asked to stop, or had
 * too many bytes. No step follows one that failed.
 */
import { type PartPlace, type PartSizes, placeOf } from './part-sizes.ts';

/** How far the parts are filled. */
export interface Filling {
  /** The upload's size; null: not known yet. */
  readonly size: number | null;
  readonly sizes: PartSizes;
  /** Bytes from the beginning of the upload: committed ones, those of parts being sent, and the open part's. */
  readonly taken: number;
  /** The part that is being filled; it ends with the upload at the latest. */
  readonly open: PartPlace | null;
  /** A multipart upload was begun, or is about to be. */
  readonly isMultipart: boolean;
}

/** What happens. */
export type Happening =
  /** This many bytes wait; it may be none. */
  | { readonly kind: 'bytes'; readonly waiting: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'memory' }
  | { readonly kind: 'end' };

/** What is to be done. */
export type Step =
  /**
   * `readsBack`: the part's first bytes were committed before, and are read from the tail. `isOneOfMany`: it is known already
   * that the upload has several parts.
   */
  | { readonly kind: 'open'; readonly place: PartPlace; readonly readsBack: boolean; readonly isOneOfMany: boolean }
  | { readonly kind: 'fill'; readonly bytes: number }
  | { readonly kind: 'send'; readonly as: 'object' | 'part' }
  | { readonly kind: 'storeTail'; readonly closes: boolean }
  /** The upload has no room for another part. */
  | { readonly kind: 'refuse' }
  | { readonly kind: 'rest' };

const REST: Step = { kind: 'rest' };

/** The next step. */
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

/** How far the parts are filled after a step. */
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
