/** Multipart uploads as such: those to be found, looked into and ended. None of it is needed for an upload on its way. */
import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
  type S3,
} from '@aws-sdk/client-s3';
import { StoreError } from '../store.ts';
import { codeOf } from './errors.ts';
import type { CallOptions } from './retry.ts';
import type { Preset } from './settings.ts';

const NOT_TO_BE_LISTED = new Set(['AccessDenied', 'NotImplemented', 'MethodNotAllowed']);

/** Makes a call, again where that helps, and translates its error. */
export type Call = <T>(
  doing: string,
  attempt: (options: { abortSignal: AbortSignal }) => Promise<T>,
  options?: CallOptions,
) => Promise<T>;

export interface Multiparts {
  /** One that is gone already is no error. */
  abortMultipart(key: string, multipart: string): Promise<void>;
  /** Those under way, where the provider lists them and the key may ask; elsewhere none. */
  listMultiparts(prefix: string): AsyncIterable<{ key: string; id: string }>;
  /** Ends those of one key that have no parts, but this one: begun by calls whose answers nobody got. */
  abortEmptyMultiparts(key: string, but: string | null): Promise<void>;
  /** Whether one is not there any more, where completing it does not tell; elsewhere, and where the key may not ask, false. */
  isMultipartGone(key: string, multipart: string): Promise<boolean>;
}

export function createMultiparts(client: S3, bucket: string, preset: Preset, call: Call): Multiparts {
  async function* listMultiparts(prefix: string): AsyncIterable<{ key: string; id: string }> {
    let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
    while (preset.listsMultiparts) {
      const input = { Bucket: bucket, Prefix: prefix, ...from };
      const page: ListMultipartUploadsCommandOutput | undefined = await ifListed(() =>
        call('looking for multipart uploads', (options) =>
          client.send(new ListMultipartUploadsCommand(input), options),
        ),
      );
      for (const { Key, UploadId } of page?.Uploads ?? []) if (Key && UploadId) yield { key: Key, id: UploadId };
      if (!page?.IsTruncated) return;
      from = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  }

  /** Undefined where the key may not ask. */
  function lookInto(key: string, multipart: string): Promise<ListPartsCommandOutput | undefined> {
    const input = { Bucket: bucket, Key: key, UploadId: multipart, MaxParts: 1 };
    return ifListed(() =>
      call(`looking into a multipart upload of ${key}`, (options) => client.send(new ListPartsCommand(input), options)),
    );
  }

  async function abortMultipart(key: string, multipart: string): Promise<void> {
    await ignoringMissing(() =>
      call(`aborting ${key}`, (options) =>
        client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: multipart }), options),
      ),
    );
  }

  return {
    abortMultipart,

    listMultiparts,

    abortEmptyMultiparts: async (key, but) => {
      for await (const { key: found, id } of listMultiparts(key)) {
        if (found !== key || id === but) continue;
        await ignoringMissing(async () => {
          const answer = await lookInto(key, id);
          // One with parts may be what RGW still remembers of the object itself.
          if (answer && !answer.Parts?.length) await abortMultipart(key, id);
        });
      }
    },

    isMultipartGone: async (key, multipart) => {
      // Whoever does not know this call may take it for one for the object, which is not there yet.
      if (!preset.hidesGoneMultiparts) return false;
      try {
        await lookInto(key, multipart);
        return false;
      } catch (error) {
        return error instanceof StoreError && error.code === 'missing';
      }
    },
  };
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

export async function ignoringMissing(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof StoreError && error.code === 'missing')) throw error;
  }
}
