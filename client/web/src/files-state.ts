/** What is said above the list: its state, and how much there is. */
import type { Catalog } from './catalog.ts';
import { byId, setText } from './dom.ts';
import { formatCount, formatSize } from './format.ts';
import { texts } from './i18n.ts';
import { sentenceOf } from './refusal.ts';

/** Updates the note in the place of the list, and the number of files. */
export function showCatalogState(catalog: Catalog): void {
  const t = texts();
  const note = byId('files-note');
  const { state, order, problem, isOpening, entries } = catalog;
  byId('catalog').hidden = false;
  const why = problem && problem.status > 0 ? `${sentenceOf(problem)} ` : '';
  const words = { loading: t.loading, lost: why + t.listLost, locked: t.needsToken, ready: '' }[state];
  const nothing = order.search ? t.noMatch : order.folder === '' ? t.empty : t.emptyFolder;
  setText(note, state === 'ready' ? (entries.length === 0 && !isOpening ? nothing : '') : words);
  note.hidden = note.textContent === '';
  byId('list-head').hidden = entries.length === 0;
  // Until the list of another folder is there, nothing is done with the entries of the one before.
  for (const id of ['file-list', 'list-head']) byId(id).inert = isOpening;
  setText(byId('files-total'), totalWords(catalog));
}

/** How many files there are; during a search, how many were found so far. */
function totalWords({ total, entries, order, state, isWhole }: Catalog): string {
  const t = texts();
  if (order.search) return state === 'ready' ? t.found(formatCount(entries.length) + (isWhole ? '' : '+')) : '';
  if (total === null || total.files === 0) return '';
  return t.total(formatCount(total.files), formatSize(total.bytes), total.files === 1);
}
