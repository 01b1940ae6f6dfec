/** The calls that store an upload's bytes, for which one answer alone proves nothing. */
import { StoreError, type StoredUpload } from '../store.ts';
import { askOverTime, isMissing } from './ask.ts';
import type { Body } from './calls.ts';
import { bare } from './multiparts.ts';
import type { Objects } from './objects.ts';

/**
 * Guards the calls of one store. ETags of parts are known to be MD5s, which they are but where a
 * provider encrypts, until an answer that says otherwise is confirmed.
 */
export function createGuard(objects: Objects): (upload: StoredUpload) => Objects {
  let areEtagsMd5s = true;

  /**
   * A part's ETag as the provider has it: what an answer told, unless that is no MD5 of the part's
   * bytes. Then ListParts decides, or a second answer where one may not ask.
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
    /** There is nothing that such a call could miss. */
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
