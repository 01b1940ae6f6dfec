/** Drags rows of the list onto folders: those in the list, and those on the way to the open one. The keyboard has the dialog. */
import type { Entry } from '../../core/listing.ts';
import { byId } from './dom.ts';
import { canMove, isFewEnough, type Move } from './moving.ts';

/** Marks what is dragged as rows of this page: files of the disk are sent, see choose.ts. */
const TYPE = 'application/x-tidemark-entries';

/** @param parts.draggedBy - what is dragged by a row: all that is selected, where the row is. */
export function startDragging(parts: {
  draggedBy: (row: HTMLElement) => readonly Entry[];
  move: Move;
  onMoved: () => void;
}): void {
  const section = byId('catalog');
  let dragged: readonly Entry[] = [];
  let target: HTMLElement | null = null;

  function mark(next: HTMLElement | null): void {
    target?.classList.remove('drop-target');
    target = next;
    target?.classList.add('drop-target');
  }

  /** The folder below the pointer, where something of what is dragged can come into it; any folder for files of the disk. */
  function targetOf(event: DragEvent): HTMLElement | null {
    const element = (event.target as Element).closest<HTMLElement>('[data-folder]');
    if (event.dataTransfer?.types.includes('Files')) return element;
    if (dragged.length === 0 || !event.dataTransfer?.types.includes(TYPE)) return null;
    const folder = element?.dataset['folder'];
    return folder !== undefined && dragged.some((entry) => canMove(entry, folder)) ? element : null;
  }

  section.addEventListener('dragstart', (event) => {
    const row = (event.target as Element).closest<HTMLElement>('#file-list > li');
    if (!row || !event.dataTransfer) return;
    dragged = parts.draggedBy(row);
    event.dataTransfer.setData(TYPE, '');
    event.dataTransfer.effectAllowed = 'move';
  });
  section.addEventListener('dragover', (event) => {
    const over = targetOf(event);
    if (over !== target) mark(over);
    if (!over || !event.dataTransfer?.types.includes(TYPE)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'move';
  });
  section.addEventListener('dragleave', (event) => {
    if (!section.contains(event.relatedTarget as Node | null)) mark(null);
  });
  section.addEventListener('drop', (event) => {
    const folder = targetOf(event)?.dataset['folder'];
    mark(null);
    if (folder === undefined || !event.dataTransfer?.types.includes(TYPE)) return;
    event.preventDefault();
    const entries = dragged;
    dragged = [];
    if (isFewEnough(entries.length)) void parts.move(entries, folder).then(parts.onMoved);
  });
  section.addEventListener('dragend', () => {
    dragged = [];
    mark(null);
  });
}
