/** Names of objects: final ones by upload and attempt, tails in a folder of their own, and the mark of the catalog. */
import { StoreError } from '../store.ts';

/** Keys in the folder of tails. Keys of any other form are not the service's. */
const TAIL = /^([A-Za-z0-9_-]{1,64})\/\d+-[0-9a-f]{12}$/;
/** After the upload's id: which attempt. Those of before attempts had names end with the id. */
const FINAL = /^([A-Za-z0-9_-]{1,64})(?:\.[0-9a-f]{12})?$/;
/** No id is empty, so no upload and no content ever has this name; it comes first in a listing. */
const MARK = '.tidemark-id';
const PLAIN_ID = /^[A-Za-z0-9_-]{1,64}$/;

export interface Keys {
  /**
   * Of the object that an attempt to store an upload whole makes.
   *
   * @param nonce - 12 hex digits: attempts that may have other bytes have another one. Null: of before there were any.
   */
  final(id: string, nonce: string | null): string;
  /** What the keys of all attempts of an upload begin with. */
  finals(id: string): string;
  tail(id: string, start: number, nonce: string): string;
  /** What all tails of an upload begin with; of all uploads without an id. */
  tails(id?: string): string;
  /** Whose object this is. */
  ownerOfFinal(key: string): string | undefined;
  /** Of the object that says to which catalog all of these belong. */
  readonly mark: string;
  /** What the keys of all contents begin with. */
  readonly prefix: string;
  /** Whose tail this is. */
  ownerOfTail(key: string): string | undefined;
}

export function createKeys(prefix: string): Keys {
  const folder = `${prefix}tails/`;

  /** Ids are made by the service, never by a client; one that is not a plain name is refused all the same. */
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
