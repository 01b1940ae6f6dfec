/** The token: the page asks for it once, and keeps it for the session of the tab. */
import { serviceUrl } from './base.ts';
import { byId, setText } from './dom.ts';
import { onLanguage, texts } from './i18n.ts';
import { discard, keep, recall } from './storage.ts';

const KEY = 'tidemark-token';

let token = recall('sessionStorage', KEY);
/** What the dialog says of the last token that the user gave. */
let problem: 'tokenRefused' | 'tokenNoAnswer' | null = null;
/** The longest wait for the service to take its cookie back; the cookie expires within the hour anyway. */
const FORGET_MS = 5_000;
/** The longest wait for an answer: after that the connection counts as dead. */
const ANSWER_MS = 20_000;
const listeners = new Set<() => void>();

export function authorization(): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

export function hasToken(): boolean {
  return token !== null;
}

/** Registers a listener, which is called each time the service has accepted a token. */
export function onAccepted(listener: () => void): void {
  listeners.add(listener);
}

/**
 * Opens the dialog after the service has answered 401.
 *
 * @param given - the headers of that request: where the token has changed since, nothing happens.
 */
export function askForToken(given: Record<string, string>): void {
  // The user has given another token meanwhile.
  if (given['Authorization'] !== authorization()['Authorization']) return;
  const dialog = byId<HTMLDialogElement>('token-dialog');
  // A 401 to a request without a token leaves the problem as it is: the last token was still refused.
  if (token !== null) problem = 'tokenRefused';
  forget();
  if (!dialog.open) dialog.showModal();
  showState();
}

/**
 * Lets the browser fetch files by itself: `<video>` and `<a download>` send no token. The
 * service sets a cookie that gives access to files only, for an hour. The page asks for it
 * each time, as another tab may have given it back.
 */
export async function letBrowserFetch(): Promise<void> {
  if (token === null) return;
  const signal = AbortSignal.timeout(ANSWER_MS);
  await fetch(serviceUrl('api/ticket'), { method: 'POST', headers: authorization(), signal });
}

/** Gives the cookie of `letBrowserFetch` back, for all tabs of this browser. */
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
    // A token that no header can carry cannot be right.
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
