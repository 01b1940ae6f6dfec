/** Lists deleted files; restores them, deletes them for good, and empties the trash. */
import type { TrashedJson } from '../../../server/wire/trash.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatCount, formatKept, formatSize, formatWhen } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { sentenceOfError } from './refusal.ts';
import { deleteForGood, listTrash, type Meant, restoreDeletion, restoreFiles } from './trash-api.ts';
import { onTrashKept, trashKeptSeconds } from './trash-state.ts';

/** Many events may come at once, and one request serves for all. */
const RENEW_MS = 500;

/** A file that was deleted by itself, or all that was deleted with a folder, as far as it is loaded. */
interface Entry {
  meant: { id: string } | { deletion: string };
  /** The path; of a folder with a slash at its end. */
  name: string;
  files: number;
  bytes: number;
  deletedAt: string;
  expiresAt: string;
  /** The next page may have more of it. */
  isOpen: boolean;
}

export interface TrashDialog {
  /** To be called when files may have come into the trash, or left it. */
  changed(): void;
}

/** What is listed, and how it is loaded. */
interface Loading {
  readonly files: readonly TrashedJson[];
  readonly hasMore: boolean;
  /** Loads the next page; from the start, as much as there was. */
  load(fromStart?: boolean): Promise<void>;
  /** Forgets what is listed. An answer that is on its way is ignored. */
  clear(): void;
}

/** @param onLoaded - with the sentence of an error, where there was one. */
function createLoading(onLoaded: (problem: string | null) => void): Loading {
  let files: TrashedJson[] = [];
  let cursor: string | null = null;
  /** Incremented when the list is loaded anew or closed: an answer for an earlier one is ignored. */
  let turn = 0;

  async function load(fromStart = false): Promise<void> {
    if (fromStart) turn++;
    const current = turn;
    try {
      const loaded: TrashedJson[] = fromStart ? [] : [...files];
      let next = fromStart ? null : cursor;
      do {
        const page = await listTrash(next);
        if (current !== turn) return;
        loaded.push(...page.files);
        next = page.nextCursor;
      } while (next !== null && loaded.length < files.length);
      [files, cursor] = [loaded, next];
      onLoaded(null);
    } catch (error) {
      if (current === turn) onLoaded(sentenceOfError(error));
    }
  }

  return {
    get files() {
      return files;
    },
    get hasMore() {
      return cursor !== null;
    },
    load,
    clear: () => {
      turn++;
      [files, cursor] = [[], null];
    },
  };
}

export function startTrashDialog(): TrashDialog {
  const dialog = byId<HTMLDialogElement>('trash');
  const asking = createQuestion();
  const listed = createLoading((problem) => {
    if (problem !== null) return say(problem);
    if (listed.files.length === 0) say(texts().trashEmpty);
    else if (byId('trash-note').textContent === texts().loading) say('');
    show();
  });

  function say(words: string): void {
    setText(byId('trash-note'), words);
  }

  /** Carries out something, says how it went, and shows what is left. */
  async function act(run: () => Promise<unknown>, done: string): Promise<void> {
    let words = done;
    try {
      await run();
    } catch (error) {
      // What is not there has been restored, or deleted for good, elsewhere.
      words = (error as { status?: number }).status === 404 ? '' : sentenceOfError(error);
    }
    byId('trash-close').focus();
    await listed.load(true);
    say(words === '' && listed.files.length === 0 ? texts().trashEmpty : words);
  }

  function restore({ meant, name }: Entry): void {
    const run = 'id' in meant ? () => restoreFiles([meant.id]) : () => restoreDeletion(meant.deletion);
    void act(run, texts().restored(shownName(name)));
  }

  function askToDelete(meant: Meant, what: string): void {
    const t = texts();
    asking.ask(t.reallyGone(what), () => void act(() => deleteForGood(meant), t.goneForGood(what)));
  }

  function show(): void {
    const { files, hasMore } = listed;
    const makeRow = (entry: Entry): HTMLLIElement =>
      row(entry, restore, () => askToDelete(entry.meant, shownName(entry.name)));
    replaceRows(byId('trash-list'), entriesOf(files, hasMore).map(makeRow));
    byId('trash-more').hidden = !hasMore;
    byId('trash-empty').hidden = files.length === 0;
    const kept = trashKeptSeconds();
    setText(byId('trash-kept'), kept > 0 ? texts().trashKept(formatKept(kept)) : '');
    byId('trash-open').classList.toggle('kept', kept > 0);
  }

  onLanguage(show);
  onTrashKept(show);
  show();
  byId('trash-open').addEventListener('click', () => {
    listed.clear();
    show();
    say(texts().loading);
    dialog.showModal();
    void listed.load(true);
  });
  byId('trash-more').addEventListener('click', () => void listed.load());
  byId('trash-empty').addEventListener('click', () => askToDelete({ all: 'true' }, texts().allOfTrash));
  byId('trash-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    listed.clear();
    asking.close();
  });

  return { changed: createRenewal(async () => void (dialog.open && (await listed.load(true)))) };
}

/** @returns a function that loads soon: however many events come, and however slow the answers are, each is shown. */
function createRenewal(load: () => Promise<void>): () => void {
  let timer: number | undefined;
  let isLoading = false;

  async function renew(): Promise<void> {
    timer = undefined;
    if (isLoading) return soon();
    isLoading = true;
    await load();
    isLoading = false;
  }

  function soon(): void {
    timer ??= window.setTimeout(() => void renew(), RENEW_MS);
  }

  return soon;
}

/** What is asked before something is gone for good: in the dialog, in place of one upon it. */
function createQuestion(): { ask(words: string, onYes: () => void): void; close(): void } {
  const box = byId('trash-question');
  let answer: (() => void) | null = null;
  let asked: HTMLElement | null = null;

  function close(): void {
    box.hidden = true;
    answer = null;
  }

  byId('trash-yes').addEventListener('click', () => {
    const run = answer;
    close();
    run?.();
  });
  byId('trash-no').addEventListener('click', () => {
    close();
    (asked?.isConnected ? asked : (buttonLike(asked) ?? byId('trash-close'))).focus();
  });
  return {
    ask: (words, onYes) => {
      asked = document.activeElement as HTMLElement | null;
      answer = onYes;
      setText(byId('trash-question-words'), words);
      box.hidden = false;
      byId('trash-no').focus();
    },
    close,
  };
}

/** The files of one deletion of a folder are one entry. Between them may be others, which were deleted at the same time. */
function entriesOf(files: readonly TrashedJson[], isMore: boolean): Entry[] {
  const entries = new Map<string, Entry>();
  for (const { id, name, size, deletedAt, expiresAt, deletion } of files) {
    const key = deletion ? `deletion:${deletion.id}` : id;
    const known = entries.get(key);
    if (known) {
      known.files += 1;
      known.bytes += size;
      continue;
    }
    const meant = deletion ? { deletion: deletion.id } : { id };
    const shown = deletion ? `${deletion.folder}/` : name;
    entries.set(key, { meant, name: shown, files: 1, bytes: size, deletedAt, expiresAt, isOpen: false });
  }
  const last = files.at(-1)?.deletion;
  const cut = last && entries.get(`deletion:${last.id}`);
  if (cut && isMore) cut.isOpen = true;
  return [...entries.values()];
}

/** Replaces the rows of the list. The focus stays on its button; where its row is gone, it moves to the row in its place. */
function replaceRows(list: HTMLElement, rows: readonly HTMLLIElement[]): void {
  const focused = document.activeElement;
  const at = [...list.children].findIndex((one) => one.contains(focused));
  list.replaceChildren(...rows);
  if (at < 0) return;
  const target = buttonLike(focused) ?? rows[Math.min(at, rows.length - 1)]?.querySelector('button');
  (target ?? byId('trash-close')).focus({ preventScroll: true });
}

/** The button of the list that is in the place of one whose row was made anew. */
function buttonLike(button: Element | null): HTMLButtonElement | undefined {
  const former = button?.closest<HTMLLIElement>('li');
  const place = [...(former?.querySelectorAll('button') ?? [])].findIndex((one) => one === button);
  const rows = [...byId('trash-list').querySelectorAll<HTMLLIElement>('li')];
  const same = rows.find((one) => one.dataset['key'] === former?.dataset['key']);
  return place < 0 ? undefined : same?.querySelectorAll('button')[place];
}

function row(entry: Entry, restore: (entry: Entry) => void, remove: () => void): HTMLLIElement {
  const t = texts();
  const { meant, files, bytes, deletedAt, expiresAt, isOpen } = entry;
  const name = shownName(entry.name);
  const more = isOpen ? '+' : '';
  const facts = [
    ...('deletion' in meant ? [t.fileCountOf(formatCount(files) + more, files === 1 && !isOpen)] : []),
    formatSize(bytes) + more,
    t.deletedAt(formatWhen(deletedAt).whole),
    t.keptUntil(formatWhen(expiresAt).whole),
  ];
  const button = (label: string, act: () => void): HTMLButtonElement => {
    const made = make('button', { type: 'button', className: 'plain', ariaLabel: t.ofFile(label, name) }, label);
    made.addEventListener('click', act);
    return made;
  };
  const made = make(
    'li',
    { className: 'link active' },
    make('div', {}, make('bdi', { dir: 'auto' }, name), make('p', { className: 'hint' }, facts.join(' · '))),
    make(
      'div',
      { className: 'trash-buttons' },
      button(t.restore, () => restore(entry)),
      button(t.deleteForGood, remove),
    ),
  );
  made.dataset['key'] = 'deletion' in meant ? `deletion:${meant.deletion}` : meant.id;
  return made;
}
