/** How files get into the page: the user chooses, drops or pastes files, or folders with everything in them. */
import { byId, make } from './dom.ts';
import { texts } from './i18n.ts';
import { announce, notify } from './notices.ts';
import type { Chosen } from './chosen.ts';
import type { Place } from './place.ts';

/** A file that was chosen, without the folder into which it comes. */
type Found = Omit<Chosen, 'folder'>;

interface WithHandle {
  getAsFileSystemHandle?: () => Promise<FileSystemHandle | null>;
}

/**
 * Makes the page accept files.
 *
 * @param add - called with the files that the user has chosen, dropped or pasted.
 * @param place - the folder into which they come; unless they are dropped on another.
 * @returns a function that opens the dialog for files.
 */
export function startChoosing(
  add: (chosen: readonly Chosen[]) => void,
  place: Pick<Place, 'folder'>,
): { choose: () => void } {
  const form = byId<HTMLFormElement>('drop');
  const plain = byId<HTMLInputElement>('files');
  byId('plain-send').remove();
  plain.remove();
  const files = make('input', { type: 'file', multiple: true, hidden: true, id: 'files' });
  const folder = make('input', { type: 'file', webkitdirectory: true, hidden: true, id: 'folder' });
  for (const input of [files, folder]) {
    input.tabIndex = -1;
    input.setAttribute('aria-hidden', 'true');
    input.addEventListener('change', () => {
      take(
        Array.from(input.files ?? [], (file) => ({ file, path: file.webkitRelativePath || file.name, handle: null })),
        place.folder,
      );
      input.value = '';
    });
    form.append(input);
  }
  form.addEventListener('submit', (event) => event.preventDefault());
  for (const [id, input] of [
    ['choose', files],
    ['choose-folder', folder],
  ] as const) {
    byId(id).hidden = false;
    byId(id).addEventListener('click', () => input.click());
  }

  document.addEventListener('paste', ({ clipboardData }) => {
    const pasted = Array.from(clipboardData?.files ?? [], (file) => ({ file, path: file.name, handle: null }));
    if (pasted.length > 0) take(pasted, place.folder);
  });

  let depth = 0;
  const setOver = (over: boolean): void => void document.body.classList.toggle('dragging', over);
  document.addEventListener('dragenter', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    depth++;
    setOver(true);
  });
  document.addEventListener('dragleave', () => {
    depth = Math.max(0, depth - 1);
    if (depth === 0) setOver(false);
  });
  document.addEventListener('dragover', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  });
  document.addEventListener('drop', (event) => {
    depth = 0;
    setOver(false);
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    const over = (event.target as Element).closest<HTMLElement>('[data-folder]');
    const into = over?.dataset['folder'] ?? place.folder;
    void readDropped(event.dataTransfer).then((found) => take(found, into));
  });

  function take(chosen: readonly Found[], into: string): void {
    if (chosen.length === 0) {
      notify(texts().nothingToSend);
      return;
    }
    announce(texts().filesAdded(chosen.length));
    add(chosen.map((one) => ({ ...one, folder: into })));
  }

  return { choose: () => files.click() };
}

/** Asks the drop for all its entries before the first await: after that it is empty. */
async function readDropped(transfer: DataTransfer): Promise<Found[]> {
  const asked = Array.from(transfer.items)
    .filter((item) => item.kind === 'file')
    .map((item) => ({
      entry: item.webkitGetAsEntry(),
      file: item.getAsFile(),
      handle: (item as WithHandle).getAsFileSystemHandle?.().catch(() => null),
    }));
  const found = await Promise.all(
    asked.map(async ({ entry, file, handle }): Promise<Found[]> => {
      if (entry?.isDirectory) return readFolder(entry as FileSystemDirectoryEntry);
      const kept = await handle;
      return file ? [{ file, path: file.name, handle: kept instanceof FileSystemFileHandle ? kept : null }] : [];
    }),
  );
  return found.flat();
}

async function readFolder(folder: FileSystemDirectoryEntry): Promise<Found[]> {
  const found: Found[] = [];
  for (const entry of await readEntries(folder)) {
    if (entry.isDirectory) found.push(...(await readFolder(entry as FileSystemDirectoryEntry)));
    else {
      const file = await readEntry(entry as FileSystemFileEntry);
      if (file) found.push({ file, path: entry.fullPath.replace(/^\//, ''), handle: null });
      else notify(texts().unreadable(entry.name));
    }
  }
  return found;
}

/** Reads all entries of a folder: browsers return them in portions. */
async function readEntries(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

function readEntry(entry: FileSystemFileEntry): Promise<File | null> {
  return new Promise((resolve) => entry.file(resolve, () => resolve(null)));
}
