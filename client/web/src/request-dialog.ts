/** Makes a link by which others send files into a folder: asks what it takes, and shows its address once. */
import type { NewUploadLinkJson } from '../../../server/wire/links.ts';
import { createLink } from './api.ts';
import { copyText } from './clipboard.ts';
import { byId, setText } from './dom.ts';
import { onLanguage, texts } from './i18n.ts';
import type { Place } from './place.ts';
import { sentenceOfError } from './refusal.ts';

/** The service's own limit. */
const LEAST_PASSWORD = 6;
const GIB = 1024 ** 3;

/** What the dialog asks. */
interface Fields {
  folder: HTMLInputElement;
  expiry: HTMLSelectElement;
  files: HTMLInputElement;
  size: HTMLInputElement;
  password: HTMLInputElement;
}

function readFields({ folder, expiry, files, size, password }: Fields): NewUploadLinkJson {
  const seconds = Number(expiry.value);
  return {
    kind: 'upload',
    folder: folder.value.trim(),
    expiresIn: seconds === 0 ? null : seconds,
    maxFiles: files.value === '' ? null : files.valueAsNumber,
    maxBytes: size.value === '' ? null : Math.max(1, Math.round(size.valueAsNumber * GIB)),
    password: password.value === '' ? null : password.value,
  };
}

function say(id: 'request-problem' | 'request-state', words: string): void {
  setText(byId(id), words);
}

/** Shows the form, or the address that was made. */
function show(isMade: boolean): void {
  byId('request-form').hidden = isMade;
  byId('request-made').hidden = !isMade;
}

async function copy(address: HTMLInputElement): Promise<void> {
  address.focus();
  address.select();
  say('request-state', (await copyText(address.value)) ? texts().shareCopied : texts().copyFailed);
}

/** Prepares the dialog. @param place - the open folder, into which the files come unless the user names another. */
export function startRequestDialog(place: Pick<Place, 'folder'>): void {
  const dialog = byId<HTMLDialogElement>('request');
  const fields: Fields = {
    folder: byId<HTMLInputElement>('request-folder'),
    expiry: byId<HTMLSelectElement>('request-expiry'),
    files: byId<HTMLInputElement>('request-files'),
    size: byId<HTMLInputElement>('request-size'),
    password: byId<HTMLInputElement>('request-password'),
  };
  const address = byId<HTMLInputElement>('request-address');
  const make = byId<HTMLButtonElement>('request-make');
  /** Incremented when the dialog opens or closes: an answer for an earlier one is ignored. */
  let turn = 0;

  async function create(): Promise<void> {
    const current = turn;
    make.disabled = true;
    say('request-problem', '');
    try {
      const link = await createLink(readFields(fields));
      if (current !== turn) return;
      address.value = link.url;
      show(true);
      await copy(address);
    } catch (error) {
      if (current === turn) say('request-problem', texts().shareFailed(sentenceOfError(error)));
    } finally {
      if (current === turn) make.disabled = false;
    }
  }

  function applyTexts(): void {
    const t = texts();
    for (const field of [fields.files, fields.size]) field.placeholder = t.shareAnyNumber;
    fields.password.placeholder = t.shareNoPassword;
  }

  function open(): void {
    turn++;
    make.disabled = false;
    say('request-problem', '');
    say('request-state', '');
    applyTexts();
    fields.folder.value = place.folder;
    show(false);
    dialog.showModal();
  }

  fields.password.minLength = LEAST_PASSWORD;
  onLanguage(applyTexts);
  byId('request-open').addEventListener('click', open);
  byId('request-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void create();
  });
  for (const id of ['request-cancel', 'request-close']) byId(id).addEventListener('click', () => dialog.close());
  byId('request-copy').addEventListener('click', () => void copy(address));
  dialog.addEventListener('close', () => {
    turn++;
    // Neither is told a second time.
    address.value = '';
    fields.password.value = '';
  });
}
