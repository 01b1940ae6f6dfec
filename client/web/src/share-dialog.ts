/** Makes a link to files: asks how long it works, for how many downloads and with which password, and shows its address once. */
import type { FileJson } from '../../../server/wire/files.ts';
import type { NewLinkJson } from '../../../server/wire/links.ts';
import { createLink } from './api.ts';
import { copyText } from './clipboard.ts';
import { byId, setText, shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { sentenceOfError } from './refusal.ts';

/** The service's own limits. */
const MOST_FILES = 1_000;
const LEAST_PASSWORD = 6;

/** Set once the dialog is prepared. */
let open: (files: readonly FileJson[]) => void = () => undefined;

/** Opens the dialog for these files. */
export function shareFiles(files: readonly FileJson[]): void {
  open(files);
}

/** What the dialog asks. */
interface Fields {
  expiry: HTMLSelectElement;
  downloads: HTMLInputElement;
  password: HTMLInputElement;
}

function readFields(files: readonly FileJson[], { expiry, downloads, password }: Fields): NewLinkJson {
  const seconds = Number(expiry.value);
  return {
    files: files.map(({ id }) => id),
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
  let files: readonly FileJson[] = [];
  /** Incremented when the dialog opens or closes: an answer for an earlier one is ignored. */
  let turn = 0;

  async function create(): Promise<void> {
    const current = turn;
    make.disabled = true;
    say('share-problem', '');
    try {
      const link = await createLink(readFields(files, fields));
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
    const name = files.length === 1 ? shownName(files[0]?.name ?? '') : t.fileCount(formatCount(files.length));
    setText(byId('share-title'), t.ofFile(t.share, name));
    fields.downloads.placeholder = t.shareAnyNumber;
    fields.password.placeholder = t.shareNoPassword;
  }

  open = (chosen) => {
    files = chosen;
    turn++;
    const isTooMany = files.length > MOST_FILES;
    make.disabled = isTooMany;
    fields.downloads.value = '';
    say('share-problem', isTooMany ? texts().tooManyToShare(formatCount(MOST_FILES)) : '');
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
