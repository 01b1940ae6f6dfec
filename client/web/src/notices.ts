/** What is said in passing: notices with an action, and words for those who listen. */
import { byId, make, setText } from './dom.ts';

const SHOWN_MS = 8_000;

/** Says it to a screen reader. */
export function announce(text: string): void {
  const live = byId('live');
  // The same words again are new words.
  if (live.textContent === text) live.textContent = '';
  setText(live, text);
}

/**
 * Shows a notice for a while, and says it; longer while it has the pointer or the focus.
 *
 * @param onGone - called when it went without the action.
 * @returns does what the action does, and takes the notice away.
 */
export function notify(text: string, action?: { label: string; run: () => void }, onGone?: () => void): () => void {
  const notice = make('div', { className: 'toast' }, make('p', { dir: 'auto' }, text));
  let ended = false;
  const end = (acted: boolean): void => {
    if (ended) return;
    ended = true;
    notice.remove();
    if (!acted) onGone?.();
  };
  const act = (): void => {
    if (ended) return;
    end(true);
    action?.run();
  };
  if (action) {
    const button = make('button', { type: 'button' }, action.label);
    button.addEventListener('click', act);
    notice.append(button);
  }
  const later = (): void => {
    if (notice.matches(':hover, :focus-within')) window.setTimeout(later, 1_000);
    else end(false);
  };
  window.setTimeout(later, action ? SHOWN_MS : SHOWN_MS / 2);
  window.addEventListener('pagehide', () => end(false), { once: true });
  byId('toasts').append(notice);
  announce(text);
  return act;
}
