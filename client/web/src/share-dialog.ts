/** Makes a link to files and folders: asks how long it works, for how many downloads and with which password, and shows its address once. */
import type { NewLinkJson } from '../../../server/wire/links.ts';
import { lastPart } from '../../../server/wire/paths.ts';
import { type Entry, pathOf } from '../../core/listing.ts';
import { createLink } from './api.ts';
import { copyText } from './clipboard.ts';
import { byId, setText, shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { sentenceOfError } from './refusal.ts';

/** The service's own limits. */
const MOST_ENTRIES = 1_000;
const LEAST_PASSWORD = 6;

/** Set once the dialog is prepared. */
let open: (entries: readonly Entry[]) => void = () => undefined;

/** Opens the dialog for these files and folders. */
export function shareEntries(entries: readonly Entry[]): void {
  open(entries);
}

/** What the dialog asks. */
interface Fields {
  expiry: HTMLSelectElement;
  downloads: HTMLInputElement;
  password: HTMLInputElement;
}

function readFields(entries: readonly Entry[], { expiry, downloads, password }: Fields): NewLinkJson {
  const seconds = Number(expiry.value);
  return {
    files: entries.flatMap((entry) => (entry.kind === 'file' ? [entry.file.id] : [])),
    folders: entries.flatMap((entry) => (entry.kind === 'folder' ? [entry.folder.name] : [])),
    expiresIn: seconds === 0 ? null : seconds,
    downloads: downloads.value === '' ? null : downloads.valueAsNumber,
    password: password.value === '' ? null : password.value,
  };
}

function say(id: 'share-problem' | 'share-state', words: string): void {
  setText(byId(id), words);
}

/** Shows the form, or the address that was made. */
function show(isMade: boolean): void {
  byId('share-form').hidden = isMade;
  byId('share-made').hidden = !isMade;
}

async function copy(address: HTMLInputElement): Promise<void> {
  address.focus();
  address.select();
  say('share-state', (await copyText(address.value)) ? texts().shareCopied : texts().copyFailed);
}

/** Prepares the dialog. */
export function startShareDialog(): void {
  const dialog = byId<HTMLDialogElement>('share');
  const fields: Fields = {
    expiry: byId<HTMLSelectElement>('share-expiry'),
    downloads: byId<HTMLInputElement>('share-downloads'),
    password: byId<HTMLInputElement>('share-password'),
  };
  const address = byId<HTMLInputElement>('share-address');
  const make = byId<HTMLButtonElement>('share-make');
  let entries: readonly Entry[] = [];
  /** Incremented when the dialog opens or closes: an answer for an earlier one is ignored. */
  let turn = 0;

  async function create(): Promise<void> {
    const current = turn;
    make.disabled = true;
    say('share-problem', '');
    try {
      const link = await createLink(readFields(entries, fields));
      if (current !== turn) return;
      address.value = link.url;
      show(true);
      await copy(address);
    } catch (error) {
      if (current === turn) say('share-problem', texts().shareFailed(sentenceOfError(error)));
    } finally {
      if (current === turn) make.disabled = false;
    }
  }

  function applyTexts(): void {
    const t = texts();
    const [first] = entries;
    const hasFolders = entries.some(({ kind }) => kind === 'folder');
    const count = formatCount(entries.length);
    const many = hasFolders ? t.entryCount(count) : t.fileCount(count);
    const name = first && entries.length === 1 ? shownName(lastPart(pathOf(first))) : many;
    byId('share-live').hidden = !hasFolders;
    setText(byId('share-title'), t.ofFile(t.share, name));
    fields.downloads.placeholder = t.shareAnyNumber;
    fields.password.placeholder = t.shareNoPassword;
  }

  open = (chosen) => {
    entries = chosen;
    turn++;
    const isTooMany = entries.length > MOST_ENTRIES;
    make.disabled = isTooMany;
    fields.downloads.value = '';
    say('share-problem', isTooMany ? texts().tooManyToShare(formatCount(MOST_ENTRIES)) : '');
    say('share-state', '');
    applyTexts();
    show(false);
    dialog.showModal();
  };

  fields.password.minLength = LEAST_PASSWORD;
  onLanguage(applyTexts);
  byId('share-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void create();
  });
  for (const id of ['share-cancel', 'share-close']) byId(id).addEventListener('click', () => dialog.close());
  byId('share-copy').addEventListener('click', () => void copy(address));
  dialog.addEventListener('close', () => {
    turn++;
    // Neither is told a second time.
    address.value = '';
    fields.password.value = '';
  });
}
