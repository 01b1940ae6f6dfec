/** Makes a link to files: asks how long it works, for how many downloads and with which password, and shows its address once. */
import type { FileJson } from '../../../server/wire/files.ts';
import { createLink } from './api.ts';
import { copyText } from './clipboard.ts';
import { byId, setText, shownName } from './dom.ts';
import { formatCount } from './format.ts';
import { onLanguage, texts } from './i18n.ts';
import { sentenceOfError } from './refusal.ts';

/** The service's own limits. */
const MOST_FILES = 1_000;
const LEAST_PASSWORD = 6;

export interface ShareDialog {
  open(files: readonly FileJson[]): void;
}

export function startShareDialog(): ShareDialog {
  const dialog = byId<HTMLDialogElement>('share');
  const form = byId<HTMLFormElement>('share-form');
  const expiry = byId<HTMLSelectElement>('share-expiry');
  const downloads = byId<HTMLInputElement>('share-downloads');
  const password = byId<HTMLInputElement>('share-password');
  const address = byId<HTMLInputElement>('share-address');
  const make = byId<HTMLButtonElement>('share-make');
  let files: readonly FileJson[] = [];
  /** Incremented when the dialog opens or closes: an answer for an earlier one is ignored. */
  let turn = 0;

  function say(id: 'share-problem' | 'share-state', words: string): void {
    setText(byId(id), words);
  }

  function show(isMade: boolean): void {
    form.hidden = isMade;
    byId('share-made').hidden = !isMade;
  }

  async function create(): Promise<void> {
    const current = turn;
    const seconds = Number(expiry.value);
    make.disabled = true;
    say('share-problem', '');
    try {
      const link = await createLink({
        files: files.map(({ id }) => id),
        expiresIn: seconds === 0 ? null : seconds,
        downloads: downloads.value === '' ? null : downloads.valueAsNumber,
        password: password.value === '' ? null : password.value,
      });
      if (current !== turn) return;
      address.value = link.url;
      show(true);
      address.focus();
      address.select();
      await copy();
    } catch (error) {
      if (current === turn) say('share-problem', texts().shareFailed(sentenceOfError(error)));
    } finally {
      make.disabled = false;
    }
  }

  async function copy(): Promise<void> {
    address.select();
    say('share-state', (await copyText(address.value)) ? texts().shareCopied : texts().copyFailed);
  }

  function applyTexts(): void {
    const t = texts();
    const [first] = files;
    const name = files.length === 1 ? shownName(first?.name ?? '') : t.fileCount(formatCount(files.length));
    setText(byId('share-title'), t.ofFile(t.share, name));
    downloads.placeholder = t.shareAnyNumber;
    password.placeholder = t.shareNoPassword;
  }

  onLanguage(applyTexts);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void create();
  });
  byId('share-cancel').addEventListener('click', () => dialog.close());
  byId('share-close').addEventListener('click', () => dialog.close());
  byId('share-copy').addEventListener('click', () => void copy());
  dialog.addEventListener('close', () => {
    turn++;
    // Neither is told a second time.
    address.value = '';
    password.value = '';
  });

  return {
    open: (chosen) => {
      files = chosen;
      turn++;
      const isTooMany = files.length > MOST_FILES;
      make.disabled = isTooMany;
      password.minLength = LEAST_PASSWORD;
      downloads.value = '';
      say('share-problem', isTooMany ? texts().tooManyToShare(formatCount(MOST_FILES)) : '');
      say('share-state', '');
      applyTexts();
      show(false);
      dialog.showModal();
    },
  };
}
