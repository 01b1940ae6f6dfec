/** The token: asked for once, kept for the session of the tab. */
import { serviceUrl } from './base.ts';
import { byId, setText } from './dom.ts';
import { onLanguage, texts } from './i18n.ts';
import { discard, keep, recall } from './storage.ts';

const KEY = 'tidemark-token';

let token = recall('sessionStorage', KEY);
/** What is to be said of the last one that was given. */
let problem: 'tokenRefused' | 'tokenNoAnswer' | null = null;
/** Forgetting does not wait longer for a service that does not answer; its cookie ends within the hour. */
const FORGET_MS = 5_000;
/** A line that is silent for so long is taken for dead. */
const ANSWER_MS = 20_000;
const listeners = new Set<() => void>();

export function authorization(): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

export function hasToken(): boolean {
  return token !== null;
}

/** Registers what waits for a token: called each time one was accepted. */
export function onAccepted(listener: () => void): void {
  listeners.add(listener);
}

/** The service wants a token, or another one than it was given with these headers. */
export function askForToken(given: Record<string, string>): void {
  // Another request has got a better one meanwhile.
  if (given['Authorization'] !== authorization()['Authorization']) return;
  const dialog = byId<HTMLDialogElement>('token-dialog');
  // Asked again without one, the last one was still refused.
  if (token !== null) problem = 'tokenRefused';
  forget();
  if (!dialog.open) dialog.showModal();
  showState();
}

/**
 * Lets the browser fetch files without the page: `<video>` and `<a download>` send no token.
 * The service gives a cookie that opens files, and nothing else, for a while. Asked for each
 * time: another tab may have given it back.
 */
export async function letBrowserFetch(): Promise<void> {
  if (token === null) return;
  const signal = AbortSignal.timeout(ANSWER_MS);
  await fetch(serviceUrl('api/ticket'), { method: 'POST', headers: authorization(), signal });
}

/** Takes back what `letBrowserFetch` was given, for all tabs of this browser. */
async function endBrowserFetch(): Promise<void> {
  const signal = AbortSignal.timeout(FORGET_MS);
  await fetch(serviceUrl('api/ticket'), { method: 'DELETE', headers: authorization(), signal });
}

export function startAccess(): void {
  const dialog = byId<HTMLDialogElement>('token-dialog');
  const input = byId<HTMLInputElement>('token');
  dialog.addEventListener('submit', (event) => {
    event.preventDefault();
    void tryToken(input.value.trim());
  });
  dialog.addEventListener('close', () => {
    problem = null;
    showState();
  });
  byId('token-later').addEventListener('click', () => dialog.close());
  byId('forget').addEventListener('click', () => {
    if (token === null) dialog.showModal();
    else {
      void endBrowserFetch()
        .catch(() => undefined)
        .then(() => {
          forget();
          location.reload();
        });
    }
  });
  onLanguage(showState);
  showState();

  async function tryToken(given: string): Promise<void> {
    // What no header can hold is no token.
    const headers = /^[\x21-\x7e]+$/.test(given) ? { Authorization: `Bearer ${given}` } : null;
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = headers && (await fetch(serviceUrl('api/files?limit=1'), { headers, signal }).catch(() => null));
    if (!answer?.ok) {
      problem = headers && answer?.status !== 401 ? 'tokenNoAnswer' : 'tokenRefused';
      showState();
      input.select();
      return;
    }
    token = given;
    keep('sessionStorage', KEY, given);
    input.value = '';
    dialog.close();
    for (const listener of listeners) listener();
  }
}

function forget(): void {
  token = null;
  discard('sessionStorage', KEY);
}

let wasAsked = false;

function showState(): void {
  wasAsked ||= byId<HTMLDialogElement>('token-dialog').open || token !== null;
  setText(byId('token-refused'), problem ? texts()[problem] : '');
  const button = byId('forget');
  button.hidden = !wasAsked;
  setText(button, token === null ? texts().enterToken : texts().forgetToken);
}
