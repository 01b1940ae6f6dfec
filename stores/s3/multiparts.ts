/** Multipart uploads as such: those to be found, looked into and ended. None of it is needed for an upload on its way. */
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

/** S3: as many as ListParts answers at once. */
const PARTS_PER_PAGE = 1000;
const NOT_TO_BE_LISTED = new Set(['AccessDenied', 'NotImplemented', 'MethodNotAllowed']);

export interface ListedPart {
  number: number;
  size: number;
  /** As the provider wrote it, which Complete has to repeat. */
  etag: string;
}

export interface Multiparts {
  /** One that is gone already is no error. */
  abortMultipart(key: string, multipart: string): Promise<void>;
  /** Those under way, where the provider lists them and the key may ask; elsewhere none. */
  listMultiparts(prefix: string): AsyncIterable<{ key: string; id: string; begunAt: number }>;
  /** Whether one is there and has no parts; false where one may not ask. */
  isEmptyMultipart(key: string, multipart: string): Promise<boolean>;
  /** All parts of one; none where it is gone, undefined where the provider or the key's rights do not let one ask. */
  listParts(key: string, multipart: string): Promise<ListedPart[] | undefined>;
  /** One part; null where it is not there, undefined where one may not ask. */
  findPart(key: string, multipart: string, number: number): Promise<ListedPart | null | undefined>;
  /** Undefined where one may not ask. */
  isMultipartThere(key: string, multipart: string): Promise<boolean | undefined>;
  /** Whether one is not there any more, where completing it does not tell; elsewhere, and where the key may not ask, false. */
  isMultipartGone(key: string, multipart: string): Promise<boolean>;
}

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
      // One with parts may be what RGW still remembers of the object itself.
      return !!page && !page.Parts?.length;
    },

    isMultipartGone: async (key, multipart) => {
      // A provider that does not know this call may take it for one for the object, which is not there yet.
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

/** Undefined where the key may not ask. */
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

/** Undefined for a key without the right, or a look-alike without the call: what is there stays, and nothing depends on it. */
async function ifListed<T>(list: () => Promise<T>): Promise<T | undefined> {
  try {
    return await list();
  } catch (error) {
    if (error instanceof StoreError && NOT_TO_BE_LISTED.has(codeOf(error.cause))) return undefined;
    throw error;
  }
}

/** Removes something. That it is not there is believed when the bucket says so twice. */
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

/** An ETag as one compares it: some answers of RGW lack the quotes, and OSS writes it in capitals. */
export function bare(etag: string): string {
  return etag.replaceAll('"', '').toLowerCase();
}
