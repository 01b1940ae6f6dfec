/** The field by which files of all folders are found. */
import type { Catalog } from './catalog.ts';
import { byId } from './dom.ts';
import { texts } from './i18n.ts';

const SEARCH_AFTER_MS = 200;

/** @param onSearch - called before the list changes. */
export function startSearch(
  catalog: Catalog,
  onSearch: () => void,
): {
  /** Writes the field's texts again, after the language has changed. */
  write(): void;
  /** Empties the field; the list is another one anyway. */
  clear(): void;
} {
  const search = byId<HTMLInputElement>('search');
  let timer: number | undefined;
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      onSearch();
      catalog.setOrder({ search: search.value.trim() });
    }, SEARCH_AFTER_MS);
  });
  return {
    write: () => {
      search.placeholder = texts().search;
      search.ariaLabel = texts().search;
    },
    clear: () => {
      clearTimeout(timer);
      search.value = '';
    },
  };
}
