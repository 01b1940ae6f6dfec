/** The order in which the files are listed: the select box, and the column heads, which are buttons. */
import type { ListOrder } from '../../core/listing.ts';
import { byId, make, setText } from './dom.ts';
import { type PlainText, texts } from './i18n.ts';

const ORDERS: { key: PlainText; sort: ListOrder['sort']; order: ListOrder['order'] }[] = [
  { key: 'newest', sort: 'uploaded', order: 'desc' },
  { key: 'oldest', sort: 'uploaded', order: 'asc' },
  { key: 'nameUp', sort: 'name', order: 'asc' },
  { key: 'nameDown', sort: 'name', order: 'desc' },
  { key: 'largest', sort: 'size', order: 'desc' },
  { key: 'smallest', sort: 'size', order: 'asc' },
];
/** The columns that the user can sort by. `orders`: indexes into ORDERS, of the first click and of the reverse order. */
const COLUMNS = [
  { id: 'by-name', label: 'name', orders: [2, 3] },
  { id: 'by-size', label: 'size', orders: [4, 5] },
  { id: 'by-time', label: 'uploaded', orders: [0, 1] },
] as const;

/** @returns a function that writes the texts again, after the language has changed. */
export function startOrder(onOrder: (order: Pick<ListOrder, 'sort' | 'order'>) => void): () => void {
  const sort = byId<HTMLSelectElement>('sort');

  function sortBy(index: number): void {
    const chosen = ORDERS[index];
    if (!chosen) return;
    sort.selectedIndex = index;
    updateColumns();
    onOrder({ sort: chosen.sort, order: chosen.order });
  }

  /** Updates each column head: it shows whether the list is sorted by it, and what a click does. */
  function updateColumns(): void {
    const t = texts();
    for (const { id, label, orders } of COLUMNS) {
      const button = byId<HTMLButtonElement>(id);
      const current = orders.findIndex((index) => index === sort.selectedIndex);
      const next = ORDERS[orders[current === 0 ? 1 : 0]]?.key ?? 'newest';
      setText(button, t[label]);
      button.dataset['sorted'] = current < 0 ? '' : (ORDERS[sort.selectedIndex]?.order ?? '');
      button.ariaLabel = t.sortTo(t[label], t[next]);
      button.title = t[next];
    }
  }

  sort.addEventListener('change', () => sortBy(sort.selectedIndex));
  for (const { id, orders } of COLUMNS) {
    byId(id).addEventListener('click', () => sortBy(orders[sort.selectedIndex === orders[0] ? 1 : 0]));
  }
  return () => {
    const t = texts();
    sort.ariaLabel = t.sort;
    const index = Math.max(0, sort.selectedIndex);
    sort.replaceChildren(...ORDERS.map(({ key }) => make('option', {}, t[key])));
    sort.selectedIndex = index;
    updateColumns();
  };
}
