/** Guards the calls that store an upload's bytes: a single answer proves nothing. */
import { StoreError, type StoredUpload } from '../store.ts';
import { askOverTime, isMissing } from './ask.ts';
import type { Body } from './calls.ts';
import { bare } from './multiparts.ts';
import type { Objects } from './objects.ts';

/**
 * Guards the calls of one store. It takes ETags of parts for MD5s, until an ETag that is none is confirmed: providers that
 * encrypt have other ETags.
 */
export function createGuard(objects: Objects): (upload: StoredUpload) => Objects {
  let areEtagsMd5s = true;

  /**
   * Returns a part's ETag. If the one in the answer is not the MD5 of the part's bytes, ListParts decides, or a second upload
   * of the part where ListParts is not allowed.
   */
  async function confirmEtag(
    { key, multipart, number, body }: { key: string; multipart: string; number: number; body: Body },
    send: () => Promise<string>,
  ): Promise<string> {
    const told = await send();
    if (!areEtagsMd5s || bare(told) === body.md5) return told;
    const listed = await objects.findPart(key, multipart, number);
    if (listed !== undefined && listed?.size !== body.bytes.length) {
      throw new StoreError('unavailable', `part ${number} of ${key} was stored, and is not listed`);
    }
    const etag = listed?.etag ?? (await send());
    if (bare(etag) === bare(told)) areEtagsMd5s = false;
    return etag;
  }

  return (upload) => {
    /** Repeats a call that is answered with "not found" although it needs nothing that could be missing. */
    function again<T>(doing: string, call: () => Promise<T>): Promise<T> {
      return askOverTime(objects.surroundings, `${doing} of upload ${upload.id}`, async () => {
        try {
          return { found: await call() };
        } catch (error) {
          if (!isMissing(error)) throw error;
          return { evidence: error.message, isSure: false };
        }
      });
    }

    return {
      ...objects,
      createMultipart: (key, of) => again('the beginning', () => objects.createMultipart(key, of)),
      putTail: (key, body) => again('a tail', () => objects.putTail(key, body)),
      putFinal: (key, of, body) => again('the object', () => objects.putFinal(key, of, body)),
      uploadPart: (key, multipart, number, body, signal) =>
        askOverTime(
          objects.surroundings,
          `storing part ${number} of ${key}`,
          async () => {
            try {
              const send = () => objects.uploadPart(key, multipart, number, body, signal);
              return { found: await confirmEtag({ key, multipart, number, body }, send) };
            } catch (error) {
              if (!isMissing(error)) throw error;
              if ((await objects.head(key))?.uploadId === upload.id) {
                throw new StoreError('unavailable', `${key} is whole already: the upload is to be recovered`, error);
              }
              const isSure = (await objects.isMultipartThere(key, multipart)) !== true;
              return { evidence: 'its parts are gone', isSure };
            }
          },
          signal,
        ),
    };
  };
}
