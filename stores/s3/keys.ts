/** Keys of objects: final ones by upload and attempt, tails in a folder of their own, and the catalog's mark. */
import { StoreError } from '../store.ts';

/** A key in the folder of tails. Keys of any other form are not the service's. */
const TAIL = /^([A-Za-z0-9_-]{1,64})\/\d+-[0-9a-f]{12}$/;
/** The upload's id, and the attempt. Keys that earlier versions made have no attempt. */
const FINAL = /^([A-Za-z0-9_-]{1,64})(?:\.[0-9a-f]{12})?$/;
/** No upload or content has this key, as no id begins with a dot; it comes first in a listing. */
const MARK = '.tidemark-id';
const PLAIN_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The keys below one prefix. */
export interface Keys {
  /**
   * The key of the whole object of one attempt.
   *
   * @param nonce - 12 hex digits, different for attempts that may have different bytes. Null: a key of an earlier version.
   */
  final(id: string, nonce: string | null): string;
  /** The prefix of the keys of all attempts of an upload. */
  finals(id: string): string;
  tail(id: string, start: number, nonce: string): string;
  /** The prefix of all tails of an upload; without an id, of all uploads. */
  tails(id?: string): string;
  /** The id of the upload that an object belongs to. */
  ownerOfFinal(key: string): string | undefined;
  /** The key of the mark, which names the catalog. */
  readonly mark: string;
  /** The prefix of the keys of all contents. */
  readonly prefix: string;
  /** The id of the upload that a tail belongs to. */
  ownerOfTail(key: string): string | undefined;
}

/** Makes the keys below a prefix. */
export function createKeys(prefix: string): Keys {
  const folder = `${prefix}tails/`;

  /** Refuses an id that is not a plain name, although only the service makes ids, never a client. */
  function plain(id: string): string {
    if (!PLAIN_ID.test(id)) throw new StoreError('missing', `${JSON.stringify(id)} is not a name of ours`);
    return id;
  }

  return {
    final: (id, nonce) => prefix + plain(id) + (nonce === null ? '' : `.${nonce}`),
    finals: (id) => prefix + plain(id),
    tail: (id, start, nonce) => `${folder}${plain(id)}/${start}-${nonce}`,
    tails: (id) => (id === undefined ? folder : `${folder}${plain(id)}/`),
    mark: prefix + MARK,
    prefix,
    ownerOfFinal: (key) => {
      return key.startsWith(prefix) ? FINAL.exec(key.slice(prefix.length))?.[1] : undefined;
    },
    ownerOfTail: (key) => {
      return key.startsWith(folder) ? TAIL.exec(key.slice(folder.length))?.[1] : undefined;
    },
  };
}
