/** Names of objects: final ones under the upload's id, tails in a folder of their own, and the mark of the catalog. */
import { StoreError } from '../store.ts';

/** Keys in the folder of tails. Keys of any other form are not the service's. */
const TAIL = /^([A-Za-z0-9_-]{1,64})\/\d+-[0-9a-f]{12}$/;
/** No id has a dot, so no upload and no content ever has this name; it comes first in a listing. */
const MARK = '.tidemark-id';
const PLAIN_ID = /^[A-Za-z0-9_-]{1,64}$/;

export interface Keys {
  /** Of the content an upload becomes, from its first byte on. */
  final(id: string): string;
  tail(id: string, start: number, nonce: string): string;
  /** What all tails of an upload begin with; of all uploads without an id. */
  tails(id?: string): string;
  /** Whose content this is to be. */
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
    final: (id) => prefix + plain(id),
    tail: (id, start, nonce) => `${folder}${plain(id)}/${start}-${nonce}`,
    tails: (id) => (id === undefined ? folder : `${folder}${plain(id)}/`),
    mark: prefix + MARK,
    prefix,
    ownerOfFinal: (key) => {
      const id = key.startsWith(prefix) ? key.slice(prefix.length) : '';
      return PLAIN_ID.test(id) ? id : undefined;
    },
    ownerOfTail: (key) => {
      return key.startsWith(folder) ? TAIL.exec(key.slice(folder.length))?.[1] : undefined;
    },
  };
}
