/** Notices, which may offer an action, and announcements for screen readers. */
import { byId, make, setText } from './dom.ts';

const SHOWN_MS = 8_000;

/** Lets a screen reader announce a text. */
export function announce(text: string): void {
  const live = byId('live');
  // A screen reader announces only changes: the same text again is set anew.
  if (live.textContent === text) live.textContent = '';
  setText(live, text);
}

interface Notice {
  /** Runs the action, and removes the notice. */
  act(): void;
  /** Removes the notice; neither the action nor `onGone` runs. */
  drop(): void;
  /** Shows another text, and restarts the time for which the notice is shown. */
  say(text: string): void;
}

/** The action that a notice offers. */
interface Offer {
  /** Of the button. */
  label: string;
  run: () => void;
  /** Called when the notice went away without the action. `isLeaving`: because the user leaves the page. */
  onGone: (isLeaving: boolean) => void;
}

/** Shows a notice for a while, and announces it. It stays longer while it has the pointer or the focus. */
export function notify(text: string, offer?: Offer): Notice {
  const words = make('p', { dir: 'auto' }, text);
  const notice = make('div', { className: 'toast' }, words);
  let timer: number | undefined;
  let ended = false;
  const end = (): boolean => {
    const first = !ended;
    ended = true;
    clearTimeout(timer);
    window.removeEventListener('pagehide', onLeaving);
    notice.remove();
    return first;
  };
  const act = (): void => {
    if (end()) offer?.run();
  };
  const onLeaving = (): void => {
    if (end()) offer?.onGone(true);
  };
  const later = (): void => {
    if (notice.matches(':hover, :focus-within')) timer = window.setTimeout(later, 1_000);
    else if (end()) offer?.onGone(false);
  };
  const wait = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(later, offer ? SHOWN_MS : SHOWN_MS / 2);
  };
  if (offer) {
    const button = make('button', { type: 'button' }, offer.label);
    button.addEventListener('click', act);
    notice.append(button);
  }
  window.addEventListener('pagehide', onLeaving);
  byId('toasts').append(notice);
  announce(text);
  wait();
  return {
    act,
    drop: () => void end(),
    say: (changed) => {
      setText(words, changed);
      announce(changed);
      wait();
    },
  };
}

export interface Undoable<T> {
  add(...ones: T[]): void;
  /** Undoes this one alone; does nothing where it no longer waits. */
  takeBack(one: T): void;
  /** It can no longer be undone: it is carried out by now, or was undone in another way. */
  forget(one: T): void;
}

/**
 * Delays an action, so that the user can undo it. A single notice shows all that wait, and its button undoes them all; once
 * the notice is gone, they are carried out.
 *
 * @param parts.carryOut - does it. Where `isLeaving`, the user leaves the page: only requests that outlive it are of use.
 */
export function createUndoable<T>(parts: {
  words: (waiting: T[]) => string;
  label: () => string;
  undo: (one: T) => void;
  /** Gives it the focus, once it is shown again. */
  focus: (one: T) => void;
  carryOut: (one: T, isLeaving: boolean) => void;
}): Undoable<T> {
  const waiting = new Set<T>();
  let notice: Notice | null = null;

  /** Forgets the notice. @returns what was waiting. */
  function clear(): T[] {
    const all = [...waiting];
    waiting.clear();
    notice = null;
    return all;
  }

  /** Undoes all. The focus was on the notice, which is gone: it moves to the last one that is back. */
  function undoAll(): void {
    const all = clear();
    all.forEach((each) => parts.undo(each));
    const last = all.at(-1);
    if (last === undefined || document.activeElement !== document.body) return;
    requestAnimationFrame(() => requestAnimationFrame(() => parts.focus(last)));
  }

  /** @returns false where it does not wait. */
  function forget(one: T): boolean {
    if (!waiting.delete(one)) return false;
    if (waiting.size > 0) notice?.say(parts.words([...waiting]));
    else {
      notice?.drop();
      notice = null;
    }
    return true;
  }

  return {
    add: (...ones) => {
      for (const one of ones) waiting.add(one);
      const words = parts.words([...waiting]);
      if (notice) notice.say(words);
      else {
        notice = notify(words, {
          label: parts.label(),
          run: undoAll,
          onGone: (isLeaving) => clear().forEach((each) => parts.carryOut(each, isLeaving)),
        });
      }
    },
    takeBack: (one) => {
      if (forget(one)) parts.undo(one);
    },
    forget: (one) => void forget(one),
  };
}
