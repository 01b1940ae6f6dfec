/** The calls that find, inspect and abort multipart uploads. No upload needs them to make progress. */
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
} from '@aws-sdk/client-s3';
import { StoreError } from '../store.ts';
import { isMissing } from './ask.ts';
import { call, type Calling } from './calls.ts';
import { codeOf } from './errors.ts';

/** S3: the maximum of ListParts. */
const PARTS_PER_PAGE = 1000;
const NOT_TO_BE_LISTED = new Set(['AccessDenied', 'NotImplemented', 'MethodNotAllowed']);

/** A part that the bucket lists. */
export interface ListedPart {
  number: number;
  size: number;
  /** As the provider wrote it, which Complete has to repeat. */
  etag: string;
}

/** The calls. "Not allowed" means that the access key lacks the right to list, or that the provider lacks the call. */
export interface Multiparts {
  /** Aborts one. Succeeds, too, where it is gone already. */
  abortMultipart(key: string, multipart: string): Promise<void>;
  /** Lists the unfinished ones; none where listing is not allowed. */
  listMultiparts(prefix: string): AsyncIterable<{ key: string; id: string; begunAt: number }>;
  /** Whether one exists and has no parts; false where listing is not allowed. */
  isEmptyMultipart(key: string, multipart: string): Promise<boolean>;
  /** Lists all parts of one; none where it is gone, undefined where listing is not allowed. */
  listParts(key: string, multipart: string): Promise<ListedPart[] | undefined>;
  /** Finds one part; null where it does not exist, undefined where listing is not allowed. */
  findPart(key: string, multipart: string, number: number): Promise<ListedPart | null | undefined>;
  /** Whether one exists; undefined where listing is not allowed. */
  isMultipartThere(key: string, multipart: string): Promise<boolean | undefined>;
  /** Whether one is gone, for a preset with `hidesGoneMultiparts`; false for others, and where listing is not allowed. */
  isMultipartGone(key: string, multipart: string): Promise<boolean>;
}

/** Makes the calls. */
export function createMultiparts(calling: Calling): Multiparts {
  const { client, bucket, preset } = calling;
  const listMultiparts = (prefix: string): ReturnType<Multiparts['listMultiparts']> => listAll(calling, prefix);

  async function listParts(key: string, multipart: string): Promise<ListedPart[] | undefined> {
    const parts: ListedPart[] = [];
    let after: string | undefined;
    do {
      const page = await ifThere(() => lookInto(calling, key, multipart, { after, most: PARTS_PER_PAGE }), null);
      if (!page) return page === null ? [] : undefined;
      parts.push(...partsOf(page));
      after = page.IsTruncated ? page.NextPartNumberMarker : undefined;
    } while (after !== undefined);
    return parts;
  }

  async function findPart(key: string, multipart: string, number: number): Promise<ListedPart | null | undefined> {
    const page = await ifThere(() => lookInto(calling, key, multipart, { after: String(number - 1) }), null);
    return page && (partsOf(page).find((part) => part.number === number) ?? null);
  }

  async function abortMultipart(key: string, multipart: string): Promise<void> {
    await ignoringMissing(() =>
      call(calling, `aborting ${key}`, (options) =>
        client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: multipart }), options),
      ),
    );
  }

  return {
    abortMultipart,

    listMultiparts,

    listParts,

    findPart,

    isMultipartThere: async (key, multipart) => {
      const page = await ifThere(() => lookInto(calling, key, multipart), null);
      return page === undefined ? undefined : page !== null;
    },

    isEmptyMultipart: async (key, multipart) => {
      const page = await ifThere(() => lookInto(calling, key, multipart), null);
      // One with parts may be the completed object's own, which RGW may still list.
      return !!page && !page.Parts?.length;
    },

    isMultipartGone: async (key, multipart) => {
      // A provider without this call may take it for a GET of the object, and answer that the object does not exist.
      if (!preset.hidesGoneMultiparts) return false;
      try {
        await lookInto(calling, key, multipart);
        return false;
      } catch (error) {
        return error instanceof StoreError && error.code === 'missing';
      }
    },
  };
}

async function* listAll(calling: Calling, prefix: string): AsyncIterable<{ key: string; id: string; begunAt: number }> {
  const { client, bucket, preset, surroundings } = calling;
  let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  while (preset.listsMultiparts) {
    const input = { Bucket: bucket, Prefix: prefix, ...from };
    const page: ListMultipartUploadsCommandOutput | undefined = await ifListed(() =>
      call(calling, 'looking for multipart uploads', (options) =>
        client.send(new ListMultipartUploadsCommand(input), options),
      ),
    );
    for (const { Key, UploadId, Initiated } of page?.Uploads ?? []) {
      if (Key && UploadId) yield { key: Key, id: UploadId, begunAt: Initiated?.getTime() ?? surroundings.wallMs() };
    }
    if (!page?.IsTruncated) return;
    from = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}

/** Lists parts of one; undefined where that is not allowed. */
function lookInto(
  calling: Calling,
  key: string,
  multipart: string,
  { after, most = 1 }: { after?: string | undefined; most?: number } = {},
): Promise<ListPartsCommandOutput | undefined> {
  const { client, bucket } = calling;
  const from = after === undefined ? {} : { PartNumberMarker: after };
  const input = { Bucket: bucket, Key: key, UploadId: multipart, MaxParts: most, ...from };
  return ifListed(() =>
    call(calling, `looking into a multipart upload of ${key}`, (options) =>
      client.send(new ListPartsCommand(input), options),
    ),
  );
}

/** Makes a call that lists; undefined where that is not allowed. Then leftovers stay in the bucket, but nothing else fails. */
async function ifListed<T>(list: () => Promise<T>): Promise<T | undefined> {
  try {
    return await list();
  } catch (error) {
    if (error instanceof StoreError && NOT_TO_BE_LISTED.has(codeOf(error.cause))) return undefined;
    throw error;
  }
}

/** Removes something. If the bucket answers that it does not exist, tries once more: one answer alone proves nothing. */
export async function ignoringMissing(action: () => Promise<unknown>): Promise<void> {
  const done = await ifThere(async () => action().then(() => true), false);
  if (!done) await ifThere(action, undefined);
}

async function ifThere<T, E>(action: () => Promise<T>, otherwise: E): Promise<T | E> {
  try {
    return await action();
  } catch (error) {
    if (!isMissing(error)) throw error;
    return otherwise;
  }
}

function partsOf(page: ListPartsCommandOutput): ListedPart[] {
  return (page.Parts ?? []).map(({ PartNumber: number = 0, Size: size = 0, ETag: etag = '' }) => ({
    number,
    size,
    etag,
  }));
}

/** The form of an ETag for comparisons: some answers of RGW lack the quotes, and OSS writes it in capitals. */
export function bare(etag: string): string {
  return etag.replaceAll('"', '').toLowerCase();
}
